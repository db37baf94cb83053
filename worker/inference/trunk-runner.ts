import type { Compute, Session } from '../engine/compute.ts';
import { floats } from '../engine/graph/tensor.ts';
import type { Tensor } from '../engine/graph/tensor.ts';
import { rowPlaces } from '../model/batch-feeds.ts';
import { embed } from '../model/weights/embedding.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { packSequences, packTokens } from './packs.ts';
import type { TokenSequence } from './packs.ts';
import { hiddenAfter, hiddenStatesProgram } from '../model/programs/hidden-states.ts';
import type { Trunk } from '../model/programs/hidden-states.ts';
import { layerProgram, NEXT } from '../model/programs/layer.ts';
import { isSwept, LayerSweep } from './layer-sweep.ts';
import type { Pass, SweepOptions } from './layer-sweep.ts';
import { shareRows } from './shared-rows.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';
import type { WeightIndex } from '../model/weights/weight-index.ts';

/** Hidden states of one sequence after each compared layer, [tokens, hidden] each. */
export type HiddenStates = readonly Float32Array[];

/** The LoRA vectors of a trunk, as tensors or as variables of the compute process. */
export type TrunkVectors = Readonly<Partial<Record<'adapter' | 'emulator', Tensor | string>>>;

/** Runs the teacher part or the emulator without a gradient tape, from token ids to hidden states. */
export interface TrunkRunner {
  /** Tokens that should be requested together, because the weights are read once for them; 0 if that is no gain. */
  readonly sweptTokens: number;
  /** The states of sequences that belong to one pack, for each pack in order. */
  passes(
    packs: readonly (readonly TokenSequence[])[],
    vectors: TrunkVectors,
    options?: SweepOptions,
  ): AsyncGenerator<HiddenStates[], void>;
  /** The states of each group's sequences. No pass has sequences of two groups. */
  runAll(
    groups: readonly (readonly TokenSequence[])[],
    vectors: TrunkVectors,
    options?: SweepOptions,
  ): Promise<HiddenStates[][]>;
}

/**
 * A large trunk runs a layer at a time.
 * @param after the layers whose outputs are returned, as indices in the full model; −1 is the output of the adapter's
 * front layers
 */
export async function loadTrunk(
  compute: Compute,
  model: FederatedModel,
  trunk: Trunk,
  after: readonly number[],
): Promise<TrunkRunner> {
  const whole = hiddenStatesProgram(model, trunk, after, compute.provider);
  if (isSwept(compute, whole)) return new SweptTrunk(compute, model, trunk, after);
  const session = await compute.load(whole, weightFolder(model));
  return new WholeTrunk(session, after, model.weights, packTokens(compute.provider));
}

/** All layers in one session. */
class WholeTrunk implements TrunkRunner {
  readonly sweptTokens = 0;
  readonly #session: Session;
  readonly #outputs: readonly string[];
  readonly #weights: WeightIndex;
  readonly #packTokens: number;

  constructor(session: Session, after: readonly number[], weights: WeightIndex, tokens: number) {
    this.#session = session;
    this.#outputs = after.map(hiddenAfter);
    this.#weights = weights;
    this.#packTokens = tokens;
  }

  async *passes(packs: readonly (readonly TokenSequence[])[], vectors: TrunkVectors): AsyncGenerator<HiddenStates[]> {
    for (const pack of packs) yield await this.#run(pack, vectors);
  }

  /** All passes are requested at once, so that none waits until the results of the previous one are read. */
  runAll(groups: readonly (readonly TokenSequence[])[], vectors: TrunkVectors): Promise<HiddenStates[][]> {
    return Promise.all(
      groups.map(async (group) => {
        const packs = packSequences(group, this.#packTokens);
        return (await Promise.all(packs.map((pack) => this.#run(pack, vectors)))).flat();
      }),
    );
  }

  async #run(pack: readonly TokenSequence[], vectors: TrunkVectors): Promise<HiddenStates[]> {
    const { hidden, feeds, rowsOf } = passOf(pack, this.#weights);
    const { outputs } = await this.#session.run({ feeds: { hidden, ...feeds, ...vectors }, fetch: this.#outputs });
    return statesAt(
      rowsOf,
      this.#outputs.map((name) => outputs[name]!),
    );
  }
}

/** One layer at a time. */
export class SweptTrunk implements TrunkRunner {
  readonly #sweep: LayerSweep;
  readonly #weights: WeightIndex;
  readonly #packTokens: number;

  constructor(compute: Compute, model: FederatedModel, trunk: Trunk, after: readonly number[]) {
    const { front, [trunk]: own } = model.split;
    const returned = new Set(after.map((layer) => (layer < 0 ? front.at(-1)! : layer)));
    const layers = [...front, ...own].map((layer) => ({
      program: () =>
        layerProgram(model, layer, front.includes(layer) ? 'adapter' : trunk === 'emulator' ? trunk : null),
      fetch: returned.has(layer) ? [NEXT] : [],
    }));
    this.#sweep = new LayerSweep(compute, weightFolder(model), layers, model.config.hiddenSize);
    this.#weights = model.weights;
    this.#packTokens = packTokens(compute.provider);
  }

  get sweptTokens(): number {
    return this.#sweep.rows;
  }

  async *passes(
    packs: readonly (readonly TokenSequence[])[],
    vectors: TrunkVectors,
    options: SweepOptions = {},
  ): AsyncGenerator<HiddenStates[]> {
    const rows: Int32Array[][] = [];
    const weights = this.#weights;
    function* begun(): Generator<Pass> {
      for (const pack of packs) {
        const { rowsOf, ...pass } = passOf(pack, weights);
        rows.push([...rowsOf]);
        yield pass;
      }
    }
    for await (const states of this.#sweep.through(begun(), vectors, options)) yield statesAt(rows.shift()!, states);
  }

  async runAll(
    groups: readonly (readonly TokenSequence[])[],
    vectors: TrunkVectors,
    options: SweepOptions = {},
  ): Promise<HiddenStates[][]> {
    const packed = groups.map((group) => packSequences(group, this.#packTokens));
    const states: HiddenStates[][] = [];
    for await (const pack of this.passes(packed.flat(), vectors, options)) states.push(pack);
    return packed.map((packs) => states.splice(0, packs.length).flat());
  }
}

/** A pass over sequences, whose common beginnings share rows, and the rows of each. */
function passOf(
  pack: readonly TokenSequence[],
  weights: WeightIndex,
): Pass & { readonly rowsOf: readonly Int32Array[] } {
  const { tokens, rowsOf } = shareRows(pack.map(({ inputIds }) => inputIds));
  return { hidden: embed(weights, tokens), feeds: rowPlaces(rowsOf), rowsOf };
}

/** The states of each sequence, from those of a pass's rows after each layer. */
function statesAt(rowsOf: readonly Int32Array[], states: readonly Tensor[]): HiddenStates[] {
  return rowsOf.map((rows) => states.map((state) => rowsAt(floats(state), rows, state.shape[1]!)));
}

/** Selects rows of states [all, width] as [rows.length, width]. */
function rowsAt(states: Float32Array, rows: Int32Array, width: number): Float32Array {
  const chosen = new Float32Array(rows.length * width);
  rows.forEach((row, i) => chosen.set(states.subarray(row * width, (row + 1) * width), i * width));
  return chosen;
}
