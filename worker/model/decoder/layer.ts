import type { Graph, Value } from '../../engine/graph/graph.ts';
import { attention, rotary } from '../../engine/ops/attention.ts';
import { cast } from '../../engine/ops/cast.ts';
import { add, swiglu } from '../../engine/ops/elementwise.ts';
import { gatherRows } from '../../engine/ops/gather.ts';
import { gemm } from '../../engine/ops/matrix.ts';
import { rmsNorm } from '../../engine/ops/normalization.ts';
import { padRows, unpadRows } from '../../engine/ops/padding.ts';
import type { Places } from '../../engine/ops/padding.ts';
import { concat, reshape, split, transpose } from '../../engine/ops/shape.ts';
import { vocabularySlices } from '../../engine/ops/vocabulary.ts';
import type { Dim } from '../../engine/graph/tensor.ts';
import type { DecoderConfig } from '../config/config.ts';
import type { LoraGroups } from '../lora/graph.ts';
import type { Positions } from './positions.ts';

/**
 * A frozen or trainable weight by its canonical name, e.g. `model.layers.3.mlp.up_proj.weight`, in the type it is
 * stored in.
 */
export type WeightSource = (name: string) => Value;

/** What all layers of a pass share. */
export interface DecoderPass {
  readonly graph: Graph;
  readonly config: DecoderConfig;
  readonly weight: WeightSource;
  readonly positions: Positions;
  /** Where rows lie among the positions; null where none of these is padding, and row follows row. */
  readonly places: Places | null;
  /** LoRA of a layer, by its index in the full model. */
  readonly lora: (layer: number) => LoraGroups | undefined;
}

/** Keys and values of the tokens before, [batch, keyValueHeads, past, headDim]. */
export interface LayerCache {
  readonly keys: Value;
  readonly values: Value;
}

export interface LayerOptions {
  /** Rows of h to go on with after attention; the last layer need not compute rows that no loss reads. */
  readonly rows?: Value;
  readonly cache?: LayerCache;
}

/** A weight as it is computed with. */
function widened({ weight }: DecoderPass, name: string): Value {
  return cast(weight(name), 'float32');
}

/** One decoder layer on rows h [rows, hidden]: h + attention(norm(h)), then + mlp(norm(·)). */
export function decoderLayer(
  pass: DecoderPass,
  layer: number,
  h: Value,
  options: LayerOptions = {},
): { h: Value; cache: LayerCache } {
  const { config } = pass;
  const name = `model.layers.${layer}`;
  const attended = selfAttention(
    pass,
    layer,
    rmsNorm(h, widened(pass, `${name}.input_layernorm.weight`), config.rmsNormEpsilon),
    options,
  );
  const residual = options.rows ? gatherRows(h, options.rows) : h;
  const h1 = add(residual, attended.output);
  const h2 = add(
    h1,
    mlp(pass, layer, rmsNorm(h1, widened(pass, `${name}.post_attention_layernorm.weight`), config.rmsNormEpsilon)),
  );
  return { h: h2, cache: attended.cache };
}

function selfAttention(
  pass: DecoderPass,
  layer: number,
  x: Value,
  options: LayerOptions,
): { output: Value; cache: LayerCache } {
  const { config, positions, places } = pass;
  const { heads, keyValueHeads, headDim } = config;
  const [batch, length] = positions.queries.shape as [string, string];
  const [q, k, v] = project(pass, layer, 'self_attn', ['q_proj', 'k_proj', 'v_proj'], x) as [Value, Value, Value];
  const perHead = (rows: Value, count: number) =>
    transpose(reshape(places ? padRows(rows, places) : rows, [batch, length, count, headDim]), [0, 2, 1, 3]);

  const rotated = rotary(perHead(k, keyValueHeads), positions.cos, positions.sin);
  const keys = options.cache ? concat([options.cache.keys, rotated], 2, positions.keyLength) : rotated;
  const values = options.cache
    ? concat([options.cache.values, perHead(v, keyValueHeads)], 2, positions.keyLength)
    : perHead(v, keyValueHeads);
  const o = attention(rotary(perHead(q, heads), positions.cos, positions.sin), keys, values, positions.mask);

  const joined = (rows: Dim) => reshape(transpose(o, [0, 2, 1, 3]), [rows, heads * headDim]);
  const rows = places ? unpadRows(joined('cells'), places) : joined(x.shape[0]!);
  const [output] = project(
    pass,
    layer,
    'self_attn',
    ['o_proj'],
    options.rows ? gatherRows(rows, options.rows) : rows,
  ) as [Value];
  return { output, cache: { keys, values } };
}

function mlp(pass: DecoderPass, layer: number, x: Value): Value {
  const [gate, up] = project(pass, layer, 'mlp', ['gate_proj', 'up_proj'], x) as [Value, Value];
  const [down] = project(pass, layer, 'mlp', ['down_proj'], swiglu(gate, up)) as [Value];
  return down;
}

/**
 * Projections that read the same x, each y = x·Wᵀ (+ bias) (+ (α/r)·(x·Aᵀ)·B). The A of a group lie together, so that
 * one product serves them all.
 */
function project(pass: DecoderPass, layer: number, block: string, projections: readonly string[], x: Value): Value[] {
  const { config } = pass;
  const group = pass.lora(layer)?.get(projections[0]!);
  const adapted = group ? projections.filter((projection) => group.b.has(projection)) : [];
  const low =
    group && adapted.length > 0 ? gemm(group.dropout(x), group.a, { transB: true, alpha: group.scale }) : undefined;
  const lows = low
    ? split(
        low,
        1,
        adapted.map(() => group!.rank),
      )
    : [];
  return projections.map((projection) => {
    const name = `model.layers.${layer}.${block}.${projection}`;
    const y = gemm(x, widened(pass, `${name}.weight`), { transB: true });
    const biased = hasBias(config, projection) ? add(y, widened(pass, `${name}.bias`)) : y;
    const place = adapted.indexOf(projection);
    return place < 0 ? biased : gemm(lows[place]!, group!.b.get(projection)!, { c: biased });
  });
}

function hasBias(config: DecoderConfig, projection: string): boolean {
  if (projection === 'o_proj') return config.outputBias;
  return projection.startsWith('q') || projection.startsWith('k') || projection.startsWith('v')
    ? config.attentionBias
    : config.mlpBias;
}

/** The rows the vocabulary's head reads: RMS norm of the last hidden states. */
export function finalNorm(pass: DecoderPass, h: Value): Value {
  return rmsNorm(h, widened(pass, 'model.norm.weight'), pass.config.rmsNormEpsilon);
}

/** The vocabulary's head [vocabulary, hidden]. */
export function head(pass: DecoderPass): Value {
  return widened(pass, headName(pass.config));
}

/** The same as slices of its rows, one below the other, for a loss over the vocabulary. */
export function headSlices(
  config: DecoderConfig,
  weight: (name: string, rows: readonly [from: number, to: number]) => Value,
): Value[] {
  return vocabularySlices(config.vocabSize).map((rows) => cast(weight(headName(config), rows), 'float32'));
}

/** The head's weight; the embedding itself where the two are tied. */
export function headName({ tiedEmbeddings }: DecoderConfig): string {
  return tiedEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
}
