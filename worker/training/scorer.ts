import type { Compute, Session } from '../engine/compute.ts';
import type { Tensor } from '../engine/graph/tensor.ts';
import { isSwept, LayerSweep } from '../inference/layer-sweep.ts';
import type { Pass, SweepOptions } from '../inference/layer-sweep.ts';
import type { HiddenStates } from '../inference/trunk-runner.ts';
import { joinStates, labelFeeds, placeFeeds } from '../model/batch-feeds.ts';
import type { TokenBatch } from '../model/batch-feeds.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { layerProgram, NEXT } from '../model/programs/layer.ts';
import { scoringProgram } from '../model/programs/scoring.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';

/** Sums over labelled tokens. */
export interface Counts {
  readonly loss: number;
  readonly labelled: number;
  readonly correct: number;
}

/**
 * Runs the tail and the head over the trunk's states. A large tail runs a layer at a time, but its last layer, which
 * computes labelled rows only, runs with the head.
 */
export class Scorer {
  readonly #session: Session;
  readonly #sweep: LayerSweep | null;
  readonly #width: number;

  private constructor(session: Session, sweep: LayerSweep | null, width: number) {
    this.#session = session;
    this.#sweep = sweep;
    this.#width = width;
  }

  /** Whether layers of the tail run one at a time. */
  get sweeps(): boolean {
    return this.#sweep !== null;
  }

  static async load(compute: Compute, model: FederatedModel): Promise<Scorer> {
    const { tail } = model.split;
    const width = model.config.hiddenSize;
    const folder = weightFolder(model);
    const whole = scoringProgram(model, compute.provider);
    const swept = isSwept(compute, whole) ? tail.slice(0, -1) : [];
    const program = swept.length > 0 ? scoringProgram(model, compute.provider, tail.slice(-1)) : whole;
    const session = await compute.load(program, folder);
    const layers = swept.map((layer, i) => ({
      program: () => layerProgram(model, layer, 'adapter'),
      fetch: i === swept.length - 1 ? [NEXT] : [],
    }));
    const sweep = swept.length > 0 ? new LayerSweep(compute, folder, layers, width) : null;
    return new Scorer(session, sweep, width);
  }

  /**
   * Each batch with its counts, in order.
   * @param states of the sequences of each batch before the tail
   */
  async *score(
    batches: readonly TokenBatch[],
    states: AsyncIterable<readonly HiddenStates[]>,
    adapter: Tensor,
    options: SweepOptions,
  ): AsyncGenerator<Counts & { readonly batch: TokenBatch }, void> {
    const passes = beforeTail(batches, states, this.#width);
    const behind = this.#sweep ? this.#sweep.through(passes, { adapter }, options) : unchanged(passes);
    let next = 0;
    for await (const [hidden] of behind) {
      const batch = batches[next++]!;
      yield { batch, ...(await this.#counts(batch, hidden!, adapter)) };
    }
  }

  async #counts(batch: TokenBatch, hidden: Tensor, adapter: Tensor): Promise<Counts> {
    const { labelledRows, labels } = labelFeeds(batch);
    const { outputs } = await this.#session.run({
      feeds: { ...placeFeeds(batch), hidden, adapter, labelledRows, labels },
      fetch: ['nll', 'correct'],
    });
    const sum = (name: string) => Array.from(outputs[name]!.data, Number).reduce((a, b) => a + b, 0);
    return { loss: sum('nll'), correct: sum('correct'), labelled: labels.data.length };
  }
}

async function* beforeTail(
  batches: readonly TokenBatch[],
  states: AsyncIterable<readonly HiddenStates[]>,
  width: number,
): AsyncGenerator<Pass, void> {
  let next = 0;
  for await (const ofPack of states) {
    const last = ofPack.map((each) => each.at(-1)!);
    yield { hidden: joinStates(last, width), feeds: placeFeeds(batches[next++]!) };
  }
}

async function* unchanged(passes: AsyncIterable<Pass>): AsyncGenerator<Tensor[], void> {
  for await (const { hidden } of passes) yield [hidden];
}
