import type { Compute, Session } from '../engine/compute.ts';
import type { Tensor } from '../engine/tensor.ts';
import { placeFeeds, tokenIds, type TokenBatch } from './batch-feeds.ts';
import { embed } from './embedding.ts';
import type { FederatedModel } from './federated-model.ts';
import { hiddenAfter, hiddenStatesProgram, type Trunk } from './programs/hidden-states.ts';
import { weightFolder } from './stored-weights.ts';
import type { WeightIndex } from './weights.ts';

/** What a trunk is run on: token ids, and a name for what is computed from them. */
export interface TokenSequence {
  readonly id: string;
  readonly inputIds: Int32Array;
}

/** Hidden states of one sequence after each compared layer, [tokens, hidden] each. */
export type HiddenStates = readonly Float32Array[];

/** LoRA vectors a trunk needs, as tensors or as variables of the compute process. */
export type TrunkVectors = Readonly<Partial<Record<'adapter' | 'emulator', Tensor | string>>>;

/** Padded tokens of one pass: enough to keep the cores busy on short sequences, little enough to stay in the caches. */
const PACK_TOKENS = 512;

/**
 * Cuts sequences, in the given order, into groups that are computed together. The grouping is part of a result's bits, since the
 * shape of a product decides in which order it is summed; it therefore depends on the sequences alone, never on what is cached.
 */
export function packSequences<S extends TokenSequence>(sequences: readonly S[]): S[][] {
  const packs: S[][] = [];
  let longest = 0;
  for (const sequence of sequences) {
    const pack = packs.at(-1);
    const length = Math.max(longest, sequence.inputIds.length);
    if (pack && (pack.length + 1) * length <= PACK_TOKENS) {
      pack.push(sequence);
      longest = length;
    } else {
      packs.push([sequence]);
      longest = sequence.inputIds.length;
    }
  }
  return packs;
}

/** Sequences looked ahead when packs follow the order of use. */
const WINDOW = 8;

/** Packs that follow the order of use: what is computed together is needed within a few steps, and is of similar length. */
export function packInOrderOfUse<S extends TokenSequence>(sequences: readonly S[]): S[][] {
  const unique = [...new Map(sequences.map((sequence) => [sequence.id, sequence])).values()];
  const windows = Array.from({ length: Math.ceil(unique.length / WINDOW) }, (_, i) => unique.slice(i * WINDOW, (i + 1) * WINDOW));
  return windows.flatMap((window) => packSequences(byLength(window)));
}

/** Shortest first: neighbours of one length need no padding. */
export function byLength<S extends TokenSequence>(sequences: readonly S[]): S[] {
  return sequences.toSorted((a, b) => a.inputIds.length - b.inputIds.length);
}

/** Runs the teacher part or the emulator, without a tape, from token ids to hidden states. */
export class TrunkRunner {
  readonly #session: Session;
  readonly #after: readonly number[];
  readonly #weights: WeightIndex;

  private constructor(session: Session, after: readonly number[], weights: WeightIndex) {
    this.#session = session;
    this.#after = after;
    this.#weights = weights;
  }

  /** `after`: the layers whose outputs are wanted, as indices in the full model; −1 is what the adapter's front layers yield. */
  static async load(compute: Compute, model: FederatedModel, trunk: Trunk, after: readonly number[]): Promise<TrunkRunner> {
    const session = await compute.load(hiddenStatesProgram(model, trunk, after), weightFolder(model.weights));
    return new TrunkRunner(session, after, model.weights);
  }

  /** One pass over sequences that belong to one pack. */
  async run(pack: readonly TokenSequence[], vectors: TrunkVectors): Promise<HiddenStates[]> {
    const batch = unlabelledBatch(pack);
    const hidden = embed(this.#weights, tokenIds(batch));
    const [, width] = hidden.shape as readonly [number, number];
    const names = this.#after.map(hiddenAfter);
    const { outputs } = await this.#session.run({ feeds: { hidden, ...placeFeeds(batch), ...vectors }, fetch: names });
    let end = 0;
    return pack.map(({ inputIds }) => {
      const start = end;
      end += inputIds.length * width;
      return names.map((name) => (outputs[name]!.data as Float32Array).slice(start, end));
    });
  }
}

/** Sequences side by side for a pass that has no loss. */
function unlabelledBatch(sequences: readonly TokenSequence[]): TokenBatch {
  const rows = sequences.length;
  const length = Math.max(...sequences.map(({ inputIds }) => inputIds.length));
  const inputIds = new Int32Array(rows * length);
  sequences.forEach((sequence, row) => inputIds.set(sequence.inputIds, row * length));
  const lengths = Int32Array.from(sequences, (sequence) => sequence.inputIds.length);
  return { rows, length, inputIds, labels: new Int32Array(rows * length).fill(-100), lengths, tokens: lengths.reduce((a, b) => a + b, 0) };
}
