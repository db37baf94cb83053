import type { LoraSpec } from '../crds/types.ts';
import type { DecoderConfig } from '../worker/model/config.ts';
import type { TraceBatch } from './torch-replay.ts';

/*
 * Floating-point operations that the method's steps need, a multiplication and an addition counting two. For a layer on T tokens,
 * with P elements in its seven projections, p in their LoRA, and width h·d of all heads:
 *
 *   forward    2·P·T + 2·p·T + 4·T²·h·d       the last term: Q·Kᵀ and P·V, whole squares
 *   backward   2·P·T + 4·p·T + 8·T²·h·d       frozen weights have no gradient of their own; a LoRA that rests takes 2·p·T
 *   head       2·V·D·R each way, on R rows: those with a label for cross-entropy, all for KL
 *
 * Padding, norms, activations, softmax and the optimizer count nothing, though they take time.
 */

export interface Shape {
  readonly config: DecoderConfig;
  readonly lora: LoraSpec;
  readonly teacherLayers: number;
  readonly emulatorLayers: number;
  readonly adapterLayers: number;
}

interface Sequence {
  readonly tokens: number;
  /** Tokens that are predicted for a loss. */
  readonly labelled: number;
}

export function sequencesOf({ labels, attention_mask: mask }: TraceBatch): Sequence[] {
  return labels.map((row, i) => ({ tokens: mask[i]!.reduce((a, b) => a + b, 0), labelled: row.slice(1).filter((label) => label >= 0).length }));
}

/** An alignment step, the teacher's states being given. */
export function alignmentStep(shape: Shape, batch: TraceBatch, klWeight: number): number {
  const { emulatorLayers, adapterLayers } = shape;
  return total(batch, ({ tokens }) => {
    const student = emulatorLayers * (forward(shape, tokens) + backward(shape, tokens));
    if (klWeight === 0) return student;
    const rest = 2 * forward(shape, tokens) + backward(shape, tokens, { restingLora: true });
    return student + adapterLayers * rest + 3 * head(shape, tokens);
  });
}

/** The teacher's states of a batch. */
export function teacherStates(shape: Shape, batch: TraceBatch): number {
  return total(batch, ({ tokens }) => shape.teacherLayers * forward(shape, tokens, { lora: false }));
}

/** The emulator's states of a batch. */
export function emulatorStates(shape: Shape, batch: TraceBatch): number {
  return total(batch, ({ tokens }) => shape.emulatorLayers * forward(shape, tokens));
}

/** A client's step, the emulator's states being given: the first layer's input needs no gradient, the last layer ends on labelled rows. */
export function clientStep(shape: Shape, batch: TraceBatch): number {
  const { adapterLayers } = shape;
  const { inputs, outputs } = projections(shape);
  return total(batch, ({ tokens, labelled }) => {
    const layers = adapterLayers * (forward(shape, tokens) + backward(shape, tokens));
    const unread = (2 + 2) * outputs.weights + (2 + 4) * outputs.lora;
    return layers - unread * (tokens - labelled) - 2 * inputs.weights * tokens + 2 * head(shape, labelled);
  });
}

function total(batch: TraceBatch, cost: (sequence: Sequence) => number): number {
  return sequencesOf(batch).reduce((sum, sequence) => sum + cost(sequence), 0);
}

function forward(shape: Shape, tokens: number, { lora = true } = {}): number {
  const { inputs, outputs } = projections(shape);
  const low = lora ? inputs.lora + outputs.lora : 0;
  return 2 * (inputs.weights + outputs.weights + low) * tokens + 4 * tokens ** 2 * attentionWidth(shape);
}

function backward(shape: Shape, tokens: number, { restingLora = false } = {}): number {
  const { inputs, outputs } = projections(shape);
  const low = (restingLora ? 2 : 4) * (inputs.lora + outputs.lora);
  return (2 * (inputs.weights + outputs.weights) + low) * tokens + 8 * tokens ** 2 * attentionWidth(shape);
}

function head({ config }: Shape, rows: number): number {
  return 2 * config.vocabSize * config.hiddenSize * rows;
}

function attentionWidth({ config }: Shape): number {
  return config.heads * config.headDim;
}

/** Elements of a layer's projections and of their LoRA, before the attention (q, k, v) and after it. */
function projections({ config, lora }: Shape) {
  const { hiddenSize: width, intermediateSize: inner, keyValueHeads, headDim } = config;
  const heads = config.heads * headDim;
  const keys = keyValueHeads * headDim;
  const count = (all: Readonly<Record<string, readonly [number, number]>>) => {
    const shapes = Object.entries(all);
    const adapted = shapes.filter(([name]) => lora.targets.some((target) => target === name));
    return {
      weights: shapes.reduce((sum, [, [rows, columns]]) => sum + rows * columns, 0),
      lora: adapted.reduce((sum, [, [rows, columns]]) => sum + lora.rank * (rows + columns), 0),
    };
  };
  return {
    inputs: count({ q_proj: [heads, width], k_proj: [keys, width], v_proj: [keys, width] }),
    outputs: count({ o_proj: [width, heads], gate_proj: [inner, width], up_proj: [inner, width], down_proj: [width, inner] }),
  };
}
