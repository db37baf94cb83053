import { collate } from '../data/batch.ts';
import type { Sequence } from '../data/sequence.ts';
import type { Compute } from '../engine/compute.ts';
import { sha256 } from '../files/sha256.ts';
import { roundLayers } from '../gptq/round-layers.ts';
import { CALIBRATION_TOKENS } from '../inference/calibration.ts';
import { layerInfluence } from '../inference/layer-influence.ts';
import { packSequences } from '../inference/packs.ts';
import type { TokenBatch } from '../model/batch-feeds.ts';
import { projections } from '../model/config/projections.ts';
import { withComputeWeights } from '../model/federated-model.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import type { Rounding } from '../model/quantize.ts';
import { randomStream } from '../random.ts';
import { checkComputeWeights } from '../training/check-quantized.ts';

/** What the server learns of a model from public data, before it splits or quantises it. */
export interface OnPublicData {
  /**
   * The influence of each teacher layer, for `layerSelection: Importance`.
   * @throws UserError if the model's states are too large for model.computeWeights
   */
  readonly influence: (whole: FederatedModel) => Promise<number[]>;
  /** How the emulator's projections are rounded, for `emulator.weights: Int4`. */
  readonly rounding: (model: FederatedModel) => Rounding;
}

interface PublicData {
  /** The processes of the server. */
  readonly compute: Compute;
  readonly publicSequences: readonly Sequence[];
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Called after each pass of a measurement of layers that run one at a time, with the share done, from 0 to 1. */
  readonly onMeasured: (done: number) => void;
  /** Called when a matrix is rounded. */
  readonly onRounded: (done: number, total: number) => void;
}

export function onPublicData(data: PublicData): OnPublicData {
  return { influence: (whole) => influence(whole, data), rounding: (model) => rounding(model, data) };
}

/**
 * Number of public sequences on which the importance of layers is measured. Its mean over tokens hardly changes after a
 * few thousand tokens.
 */
const IMPORTANCE_SEQUENCES = 64;

async function influence(
  whole: FederatedModel,
  { compute, publicSequences, seed, onMeasured }: PublicData,
): Promise<number[]> {
  const sample = randomStream(seed, 'importance').shuffle(publicSequences).slice(0, IMPORTANCE_SEQUENCES);
  const { front, teacher } = whole.split;
  const [text] = sample;
  if (text !== undefined) await checkComputeWeights(compute, whole, [...front, ...teacher], text.inputIds);
  return layerInfluence(compute, withComputeWeights(whole), inBatches(sample), onMeasured);
}

/** By GPTQ, for texts that are drawn from the public data. */
function rounding(model: FederatedModel, { compute, publicSequences, seed, signal, onRounded }: PublicData): Rounding {
  const sample = calibrationSample(publicSequences, seed);
  return {
    key: sha256(JSON.stringify(sample.map(({ id }) => id))),
    matrices: async function* ({ layers: left, weights, unfinished: states }) {
      const { emulator } = model.split;
      const total = emulator.length * projections(model.config).length;
      let done = total - weights.length;
      const options = { left, states, signal };
      for await (const { matrix } of roundLayers(compute, model, emulator, inBatches(sample), options)) {
        onRounded(++done, total);
        yield [matrix];
      }
    },
  };
}

/** Sequences in a random order, as many as have CALIBRATION_TOKENS, but at least one. */
function calibrationSample(publicSequences: readonly Sequence[], seed: number): Sequence[] {
  let tokens = 0;
  return randomStream(seed, 'calibration')
    .shuffle(publicSequences)
    .filter(({ inputIds }, i) => (tokens += inputIds.length) <= CALIBRATION_TOKENS || i === 0);
}

const inBatches = (sequences: readonly Sequence[]): TokenBatch[] =>
  packSequences(sequences).map((pack) => collate(pack, 0));
