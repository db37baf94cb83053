import type { FedBiOTJobSpec, LoraSpec } from '../../crds/types.ts';
import type { DecoderConfig } from '../model/config/config.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { projections } from '../model/config/projections.ts';
import type { DecoderProjection } from '../model/config/projections.ts';
import type { Trunk } from '../model/programs/hidden-states.ts';

/*
 * Floating-point operations of the method's steps; a multiplication and an addition count as two. For a layer
 * on T tokens, with P elements in its seven projections, p in their LoRA, and width h·d of all heads:
 *
 *   forward    2·P·T + 2·p·T + 4·T²·h·d       the last term: Q·Kᵀ and P·V, full squares
 *   backward   2·P·T + 4·p·T + 8·T²·h·d       no gradient of frozen weights; a frozen LoRA takes 2·p·T
 *   head       2·V·D·R in each direction, on R rows: those with a label for cross-entropy, all for KL
 *
 * Padding, norms, activations, softmax and the optimizer are not counted.
 */

/** The properties of a split model that the formulas use. */
export interface Shape {
  readonly config: DecoderConfig;
  readonly adapterLora: Adapted;
  readonly emulatorLora: Adapted;
  readonly teacherLayers: number;
  readonly emulatorLayers: number;
  /** Adapter layers before and after the emulator. */
  readonly frontLayers: number;
  readonly tailLayers: number;
}

type Adapted = Pick<LoraSpec, 'rank' | 'targets'>;

export interface SequenceSize {
  readonly tokens: number;
  /** Tokens that are predicted for a loss. */
  readonly labelled: number;
}

/** The shape of a model as a job splits it. */
export function shapeOf(
  { config, split }: FederatedModel,
  { adapter, emulator }: Pick<FedBiOTJobSpec, 'adapter' | 'emulator'>,
): Shape {
  return {
    config,
    adapterLora: adapter.lora,
    emulatorLora: emulator.alignment.lora,
    teacherLayers: split.teacher.length,
    emulatorLayers: split.emulator.length,
    frontLayers: split.front.length,
    tailLayers: split.tail.length,
  };
}

const NO_LORA: Adapted = { rank: 0, targets: [] };

/** A layer's LoRA: none, a frozen one, or one that is trained. */
interface LayerLora {
  readonly lora: Adapted | null;
  readonly frozen?: true;
}

/** FLOPs of an alignment step, without computing the teacher's states. */
export function alignmentStep(
  shape: Shape,
  sequences: readonly SequenceSize[],
  { klWeight, languageModelWeight }: { readonly klWeight: number; readonly languageModelWeight: number },
): number {
  const { emulatorLayers, tailLayers } = shape;
  const trained = { lora: shape.emulatorLora };
  const crossed = { lora: shape.adapterLora, frozen: true } as const;
  return total(sequences, ({ tokens, labelled }) => {
    const student = emulatorLayers * (forward(shape, tokens, trained) + backward(shape, tokens, trained));
    if (klWeight === 0 && languageModelWeight === 0) return student;
    const behind = tailLayers * (forward(shape, tokens, crossed) + backward(shape, tokens, crossed));
    const divergence = klWeight > 0 ? tailLayers * forward(shape, tokens, crossed) + 3 * head(shape, tokens) : 0;
    return student + behind + divergence + (languageModelWeight > 0 ? 2 * head(shape, labelled) : 0);
  });
}

/** FLOPs of a layer of the full model, without LoRA. */
export function layerPass(shape: Shape, sequences: readonly SequenceSize[]): number {
  return total(sequences, ({ tokens }) => forward(shape, tokens, { lora: null }));
}

/** FLOPs of the teacher's states of a batch. */
export function teacherStates(shape: Shape, sequences: readonly SequenceSize[]): number {
  const { teacherLayers, frontLayers, adapterLora } = shape;
  return total(
    sequences,
    ({ tokens }) =>
      teacherLayers * forward(shape, tokens, { lora: null }) +
      frontLayers * forward(shape, tokens, { lora: adapterLora }),
  );
}

/** FLOPs of an evaluation's loss over sequences, without the states of the layers before the adapter's last. */
export function scoring(shape: Shape, sequences: readonly SequenceSize[]): number {
  return total(
    sequences,
    ({ tokens, labelled }) =>
      shape.tailLayers * forward(shape, tokens, { lora: shape.adapterLora }) + head(shape, labelled),
  );
}

/** FLOPs of an evaluation's states of sequences, which `scoring` continues. */
export function trunkStates(shape: Shape, trunk: Trunk, sequences: readonly SequenceSize[]): number {
  if (trunk === 'teacher') return teacherStates(shape, sequences);
  const front =
    shape.frontLayers * total(sequences, ({ tokens }) => forward(shape, tokens, { lora: shape.adapterLora }));
  return front + emulatorStates(shape, sequences);
}

/** FLOPs of the first token that is generated after each prompt. */
export function promptPass(shape: Shape, trunk: Trunk, prompts: readonly { readonly tokens: number }[]): number {
  return (
    trunkStates(
      shape,
      trunk,
      prompts.map(({ tokens }) => ({ tokens, labelled: 0 })),
    ) +
    scoring(
      shape,
      prompts.map(({ tokens }) => ({ tokens, labelled: 1 })),
    )
  );
}

/** FLOPs of one more token of a text that has `before` tokens. */
export function decodedToken(shape: Shape, trunk: Trunk, before: number): number {
  const layers =
    shape.frontLayers + shape.tailLayers + (trunk === 'teacher' ? shape.teacherLayers : shape.emulatorLayers);
  return promptPass(shape, trunk, [{ tokens: 1 }]) + layers * 4 * before * attentionWidth(shape);
}

/** FLOPs of the emulator's states of a batch, if no gradient crosses the emulator. */
export function emulatorStates(shape: Shape, sequences: readonly SequenceSize[]): number {
  return total(sequences, ({ tokens }) => shape.emulatorLayers * forward(shape, tokens, { lora: shape.emulatorLora }));
}

/**
 * FLOPs of a client's step. The first layer's input needs no gradient, and the last layer computes only labelled rows.
 * The emulator's states are not included, unless the gradient crosses the emulator.
 */
export function clientStep(shape: Shape, sequences: readonly SequenceSize[]): number {
  const { frontLayers, tailLayers, emulatorLayers, adapterLora, emulatorLora } = shape;
  const { inputs, outputs } = projectionElements(shape, adapterLora);
  const crossed = { lora: emulatorLora, frozen: true } as const;
  return total(sequences, ({ tokens, labelled }) => {
    const layers =
      (frontLayers + tailLayers) *
      (forward(shape, tokens, { lora: adapterLora }) + backward(shape, tokens, { lora: adapterLora }));
    const between =
      frontLayers === 0 ? 0 : emulatorLayers * (forward(shape, tokens, crossed) + backward(shape, tokens, crossed));
    const unread = (2 + 2) * outputs.weights + (2 + 4) * outputs.lora;
    return layers + between - unread * (tokens - labelled) - 2 * inputs.weights * tokens + 2 * head(shape, labelled);
  });
}

/** FLOPs of a client's step, with the emulator's states that it needs. */
export function clientTraining(shape: Shape, sequences: readonly SequenceSize[]): number {
  return clientStep(shape, sequences) + (shape.frontLayers === 0 ? emulatorStates(shape, sequences) : 0);
}

/** Total FLOPs per token of a job, without caching between steps, and without the attention to other tokens. */
export interface TokenFlops {
  readonly clientToken: number;
  /** Like clientToken, with no layer dropped. */
  readonly fullModelToken: number;
  readonly alignmentToken: number;
}

export function tokenFlops(shape: Shape, alignment: Parameters<typeof alignmentStep>[2]): TokenFlops {
  const token = [{ tokens: 1, labelled: 1 }];
  return {
    clientToken: clientTraining(shape, token),
    fullModelToken: clientTraining({ ...shape, emulatorLayers: shape.teacherLayers }, token),
    alignmentToken: alignmentStep(shape, token, alignment) + teacherStates(shape, token),
  };
}

function total(sequences: readonly SequenceSize[], cost: (sequence: SequenceSize) => number): number {
  return sequences.reduce((sum, sequence) => sum + cost(sequence), 0);
}

function forward(shape: Shape, tokens: number, { lora }: LayerLora): number {
  const { weights, low } = layer(shape, lora);
  return 2 * (weights + low) * tokens + 4 * tokens ** 2 * attentionWidth(shape);
}

function backward(shape: Shape, tokens: number, { lora, frozen }: LayerLora): number {
  const { weights, low } = layer(shape, lora);
  return (2 * weights + (frozen ? 2 : 4) * low) * tokens + 8 * tokens ** 2 * attentionWidth(shape);
}

function head({ config }: Shape, rows: number): number {
  return 2 * config.vocabSize * config.hiddenSize * rows;
}

function attentionWidth({ config }: Shape): number {
  return config.heads * config.headDim;
}

/** Number of elements of all of a layer's projections and of their LoRA. */
function layer(shape: Shape, lora: Adapted | null): { weights: number; low: number } {
  const { inputs, outputs } = projectionElements(shape, lora);
  return { weights: inputs.weights + outputs.weights, low: inputs.lora + outputs.lora };
}

/**
 * Number of elements of a layer's projections and of their LoRA, separately for those that read the layer's input (q,
 * k, v) and the others.
 */
function projectionElements({ config }: Shape, lora: Adapted | null) {
  const { rank, targets } = lora ?? NO_LORA;
  const count = (counted: readonly DecoderProjection[]) => ({
    weights: counted.reduce((sum, projection) => sum + projection.in * projection.out, 0),
    lora: counted
      .filter(({ name }) => targets.includes(name))
      .reduce((sum, projection) => sum + rank * (projection.in + projection.out), 0),
  });
  const described = projections(config);
  return {
    inputs: count(described.filter(({ input }) => input === 'attention')),
    outputs: count(described.filter(({ input }) => input !== 'attention')),
  };
}
