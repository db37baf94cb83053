import type { Graph, Value } from '../../engine/graph/graph.ts';
import { attention, rotary } from '../../engine/ops/attention.ts';
import { add, cast, swiglu } from '../../engine/ops/elementwise.ts';
import { gatherRows } from '../../engine/ops/gather.ts';
import { linear } from '../../engine/ops/linear.ts';
import type { QuantizedMatrix } from '../../engine/ops/linear.ts';
import { gemm } from '../../engine/ops/matrix.ts';
import { rmsNorm } from '../../engine/ops/normalization.ts';
import { padRows, unpadRows } from '../../engine/ops/padding.ts';
import type { Places } from '../../engine/ops/padding.ts';
import { concat, reshape, split, transpose } from '../../engine/ops/shape.ts';
import { vocabularySlices } from '../../engine/ops/vocabulary.ts';
import { wholeAttention } from '../../engine/ops/whole-attention.ts';
import type { WholeSequences } from '../../engine/ops/whole-attention.ts';
import type { Dim } from '../../engine/graph/tensor.ts';
import type { Projection } from '../../../crds/types.ts';
import type { DecoderConfig } from '../config/config.ts';
import { projections } from '../config/projections.ts';
import type { DecoderProjection } from '../config/projections.ts';
import { FINAL_NORM, headName, layerWeight, projectionBias, projectionWeight } from '../config/tensors.ts';
import type { LoraOfLayer } from '../lora/graph.ts';
import type { Positions } from './positions.ts';

/**
 * A frozen or trainable weight by its canonical name, e.g. `model.layers.3.mlp.up_proj.weight`, in the type it is
 * stored in.
 */
export type WeightSource = (name: string) => Value;

/** A projection's quantised matrix by the name of its weight; undefined if it is not quantised. */
export type QuantizedSource = (name: string) => QuantizedMatrix | undefined;

/** The context that all layers of a pass share. */
export interface DecoderPass {
  readonly graph: Graph;
  readonly config: DecoderConfig;
  readonly weight: WeightSource;
  readonly quantized: QuantizedSource;
  readonly positions: Positions;
  /** Places of rows among the positions; null if there is no padding and rows are in order. */
  readonly places: Places | null;
  /** Given for a pass over whole sequences without a gradient, if its provider has a kernel for their attention. */
  readonly whole: WholeSequences | null;
  /** LoRA of a layer, by its index in the full model. */
  readonly lora: LoraOfLayer;
  /** Receives the rows [rows, in] that a layer's projections read. */
  readonly observe?: (input: DecoderProjection['input'], x: Value) => void;
}

/** Keys and values of earlier tokens, [batch, keyValueHeads, past, headDim]. */
export interface LayerCache {
  readonly keys: Value;
  readonly values: Value;
}

export interface LayerOptions {
  /** Rows of h to continue with after attention: the last layer need not compute rows that no loss reads. */
  readonly rows?: Value;
  readonly cache?: LayerCache;
}

/** A weight in the type of the computation. */
function widened({ weight }: DecoderPass, name: string): Value {
  return cast(weight(name), 'float32');
}

/** The matrix of a projection. */
function matrix(pass: DecoderPass, name: string): Value | QuantizedMatrix {
  return pass.quantized(name) ?? widened(pass, name);
}

/** One decoder layer on rows h [rows, hidden]: h + attention(norm(h)), then + mlp(norm(·)). */
export function decoderLayer(
  pass: DecoderPass,
  layer: number,
  h: Value,
  options: LayerOptions = {},
): { h: Value; cache: LayerCache | null } {
  const { config } = pass;
  const attended = selfAttention(
    pass,
    layer,
    rmsNorm(h, widened(pass, layerWeight(layer, 'input_layernorm')), config.rmsNormEpsilon),
    options,
  );
  const residual = options.rows ? gatherRows(h, options.rows) : h;
  const h1 = add(residual, attended.output);
  const h2 = add(
    h1,
    mlp(pass, layer, rmsNorm(h1, widened(pass, layerWeight(layer, 'post_attention_layernorm')), config.rmsNormEpsilon)),
  );
  return { h: h2, cache: attended.cache };
}

function selfAttention(
  pass: DecoderPass,
  layer: number,
  x: Value,
  options: LayerOptions,
): { output: Value; cache: LayerCache | null } {
  const { places, config } = pass;
  const projected = project(pass, layer, 'attention', x);
  const cells = (name: Projection) => (places ? padRows(projected(name), places) : projected(name));
  const qkv = [cells('q_proj'), cells('k_proj'), cells('v_proj')] as const;
  const { o, cache } = pass.whole ? attendAtOnce(pass, pass.whole, qkv) : attendByHead(pass, qkv, options.cache);

  const joined = (rows: Dim) => reshape(o, [rows, config.heads * config.headDim]);
  const rows = places ? unpadRows(joined('cells'), places) : joined(x.shape[0]!);
  const output = project(pass, layer, 'heads', options.rows ? gatherRows(rows, options.rows) : rows)('o_proj');
  return { output, cache };
}

/** Queries [cells, heads·headDim], and keys and values [cells, keyValueHeads·headDim], not rotated. */
type QueriesKeysValues = readonly [q: Value, k: Value, v: Value];

/** What attention yields, o [batch, length, …], and the keys and values if a later token may read them. */
interface Attended {
  readonly o: Value;
  readonly cache: LayerCache | null;
}

/** Attention by ordinary operators, which have a gradient, also to keys and values of earlier tokens. */
function attendByHead({ config, positions }: DecoderPass, [q, k, v]: QueriesKeysValues, cache?: LayerCache): Attended {
  const { heads, keyValueHeads, headDim } = config;
  const { queries, cos, sin, mask, keyLength } = positions;
  const perHead = (x: Value, count: number) => transpose(reshape(x, [...queries.shape, count, headDim]), [0, 2, 1, 3]);
  const rotated = rotary(perHead(k, keyValueHeads), cos, sin);
  const keys = cache ? concat([cache.keys, rotated], 2, keyLength) : rotated;
  const own = perHead(v, keyValueHeads);
  const values = cache ? concat([cache.values, own], 2, keyLength) : own;
  const o = attention(rotary(perHead(q, heads), cos, sin), keys, values, mask);
  return { o: transpose(o, [0, 2, 1, 3]), cache: { keys, values } };
}

/** Attention of whole sequences by one operator, which has no gradient. */
function attendAtOnce(
  { config, positions }: DecoderPass,
  whole: WholeSequences,
  [q, k, v]: QueriesKeysValues,
): Attended {
  const { heads, keyValueHeads, headDim, slidingWindow: window } = config;
  const { queries, cos, sin } = positions;
  const joined = (x: Value, count: number) => reshape(x, [...queries.shape, count * headDim]);
  const o = wholeAttention(
    rotary(joined(q, heads), cos, sin),
    rotary(joined(k, keyValueHeads), cos, sin),
    joined(v, keyValueHeads),
    whole,
    { heads, keyValueHeads, window },
  );
  return { o, cache: null };
}

function mlp(pass: DecoderPass, layer: number, x: Value): Value {
  const projected = project(pass, layer, 'mlp', x);
  const gated = swiglu(projected('gate_proj'), projected('up_proj'));
  return project(pass, layer, 'gated', gated)('down_proj');
}

/**
 * The projections that read x [rows, in], each y = x·Wᵀ (+ bias) (+ (α/r)·(x·Aᵀ)·B), [rows, out]. The A of a group are
 * contiguous, so that one product serves them all.
 */
function project(
  pass: DecoderPass,
  layer: number,
  input: DecoderProjection['input'],
  x: Value,
): (name: Projection) => Value {
  pass.observe?.(input, x);
  const described = projections(pass.config).filter((projection) => projection.input === input);
  const group = pass.lora(layer).find(({ b }) => described.some(({ name }) => b.has(name)));
  const low = group && split(gemm(group.dropout(x), group.a, { transB: true, alpha: group.scale }), 1, group.ranks);
  const lows = new Map([...(group?.b.keys() ?? [])].map((name, i) => [name, low![i]!]));
  const outputs = new Map<Projection, Value>();
  for (const projection of described) {
    const { name, bias } = projection;
    const y = linear(x, matrix(pass, projectionWeight(layer, projection)));
    const biased = bias ? add(y, widened(pass, projectionBias(layer, projection))) : y;
    const xA = lows.get(name);
    outputs.set(name, xA ? gemm(xA, group!.b.get(name)!, { c: biased }) : biased);
  }
  return (name) => outputs.get(name)!;
}

/** The rows the vocabulary's head reads: RMS norm of the last hidden states. */
export function finalNorm(pass: DecoderPass, h: Value): Value {
  return rmsNorm(h, widened(pass, FINAL_NORM), pass.config.rmsNormEpsilon);
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
