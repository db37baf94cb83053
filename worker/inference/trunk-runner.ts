import type { Compute, Session } from '../engine/compute.ts';
import type { Tensor } from '../engine/graph/tensor.ts';
import { rowPlaces } from '../model/batch-feeds.ts';
import { embed } from '../model/weights/embedding.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { packSequences, packTokens } from './packs.ts';
import type { TokenSequence } from './packs.ts';
import { hiddenAfter, hiddenStatesProgram } from '../model/programs/hidden-states.ts';
import type { Trunk } from '../model/programs/hidden-states.ts';
import { shareRows } from './shared-rows.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';
import type { WeightIndex } from '../model/weights/weight-index.ts';

/** Hidden states of one sequence after each compared layer, [tokens, hidden] each. */
export type HiddenStates = readonly Float32Array[];

/** The LoRA vectors of a trunk, as tensors or as variables of the compute process. */
export type TrunkVectors = Readonly<Partial<Record<'adapter' | 'emulator', Tensor | string>>>;

/** Runs the teacher part or the emulator without a gradient tape, from token ids to hidden states. */
export class TrunkRunner {
  readonly #session: Session;
  readonly #after: readonly number[];
  readonly #weights: WeightIndex;
  readonly #packTokens: number;

  private constructor(session: Session, after: readonly number[], weights: WeightIndex, tokens: number) {
    this.#session = session;
    this.#after = after;
    this.#weights = weights;
    this.#packTokens = tokens;
  }

  /**
   * @param after the layers whose outputs are returned, as indices in the full model; −1 is the output of the adapter's
   * front layers
   */
  static async load(
    compute: Compute,
    model: FederatedModel,
    trunk: Trunk,
    after: readonly number[],
  ): Promise<TrunkRunner> {
    const session = await compute.load(hiddenStatesProgram(model, trunk, after), weightFolder(model.weights));
    return new TrunkRunner(session, after, model.weights, packTokens(compute.provider));
  }

  /**
   * Runs all passes over the sequences. They are requested at once, so that no pass waits until the results of the
   * previous one are read.
   */
  async runAll(sequences: readonly TokenSequence[], vectors: TrunkVectors): Promise<HiddenStates[]> {
    const packs = packSequences(sequences, this.#packTokens);
    return (await Promise.all(packs.map((pack) => this.run(pack, vectors)))).flat();
  }

  /** One pass over sequences that belong to one pack. */
  async run(pack: readonly TokenSequence[], vectors: TrunkVectors): Promise<HiddenStates[]> {
    const { tokens, rowsOf } = shareRows(pack.map(({ inputIds }) => inputIds));
    const hidden = embed(this.#weights, tokens);
    const [, width] = hidden.shape as readonly [number, number];
    const names = this.#after.map(hiddenAfter);
    const { outputs } = await this.#session.run({ feeds: { hidden, ...rowPlaces(rowsOf), ...vectors }, fetch: names });
    return rowsOf.map((rows) => names.map((name) => rowsAt(outputs[name]!.data as Float32Array, rows, width)));
  }
}

/** Selects rows of states [all, width] as [rows.length, width]. */
function rowsAt(states: Float32Array, rows: Int32Array, width: number): Float32Array {
  const chosen = new Float32Array(rows.length * width);
  rows.forEach((row, i) => chosen.set(states.subarray(row * width, (row + 1) * width), i * width));
  return chosen;
}
