import type { LocalSpec } from '../../crds/types.ts';
import { collate } from '../data/batch.ts';
import type { Batch } from '../data/batch.ts';
import type { Sequence } from '../data/sequence.ts';
import type { Compute } from '../engine/compute.ts';
import { float32 } from '../engine/graph/tensor.ts';
import type { Tensor } from '../engine/graph/tensor.ts';
import { Trainer } from '../engine/trainer.ts';
import { dropoutFeed, joinStates, labelFeeds, placeFeeds, tokenIds } from '../model/batch-feeds.ts';
import { embed } from '../model/weights/embedding.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import type { SweepOptions } from '../inference/layer-sweep.ts';
import { groupByPrefix } from '../inference/packs.ts';
import { localUpdateProgram } from '../model/programs/local-update.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';
import { loadTrunk } from '../inference/trunk-runner.ts';
import type { TrunkRunner } from '../inference/trunk-runner.ts';
import { randomStream } from '../random.ts';
import { longestBatch } from './batches.ts';
import { samplesPerRound } from '../federation/contracts.ts';
import type { BatchSource } from './batches.ts';
import type { LocalTraining, LoraState, OnStep, OnSweep, Rehearsing } from '../federation/contracts.ts';
import { checkEmulator } from './check-quantized.ts';
import { explainNotFinite, learningRateAt, oneAhead } from './steps.ts';
import { windows } from './windows.ts';

export interface AdapterTrainerOptions {
  readonly compute: Compute;
  readonly model: FederatedModel;
  readonly spec: LocalSpec;
  readonly seed: number;
  readonly batches: BatchSource;
  /** All sequences of all clients. */
  readonly pool: readonly Sequence[];
  /** Receives every micro-batch, in the order of use. */
  readonly onBatch?: (round: number, client: number, step: number, sequences: readonly Sequence[]) => void;
}

const EMULATOR_VARIABLE = 'client.emulator';
const REFERENCE_VARIABLE = 'client.reference';

/**
 * Number of tokens whose emulator states are computed ahead of the steps that use them. Bounds their memory. A large
 * emulator computes as many as its sweep takes.
 */
const WINDOW_TOKENS = 4096;

/** The client's part of the method: trains the adapter's LoRA with the frozen emulator on the client's data. */
export class AdapterTrainer implements Rehearsing {
  readonly #options: AdapterTrainerOptions;
  readonly #trainer: Trainer;
  /** Null if the gradient crosses the emulator, which is then part of the training graph. */
  readonly #emulator: TrunkRunner | null;

  private constructor(options: AdapterTrainerOptions, trainer: Trainer, emulator: TrunkRunner | null) {
    this.#options = options;
    this.#trainer = trainer;
    this.#emulator = emulator;
  }

  static async load(options: AdapterTrainerOptions): Promise<AdapterTrainer> {
    const { compute, model, spec } = options;
    // The proximal term is in every micro-batch's graph but must count once per step.
    const program = localUpdateProgram(model, {
      ...spec,
      proximalWeight: spec.proximalWeight / spec.gradientAccumulation,
    });
    const gradient = await compute.load(program, weightFolder(model), 'often');
    const trainer = await Trainer.create(compute, gradient, model.adapter.layout.size, spec.optimizer, 'client');
    const last = model.split.emulator.at(-1)!;
    const emulator = model.split.front.length > 0 ? null : await loadTrunk(compute, model, 'emulator', [last]);
    return new AdapterTrainer(options, trainer, emulator);
  }

  async train(input: {
    round: number;
    client: number;
    lora: LoraState;
    onStep: OnStep;
    onSweep: OnSweep;
    signal: AbortSignal;
  }): Promise<LocalTraining> {
    const { round, client, lora, onStep, onSweep, signal } = input;
    const { compute, spec, batches } = this.#options;
    await compute.write(EMULATOR_VARIABLE, float32(lora.emulator));
    if (spec.proximalWeight > 0) await compute.write(REFERENCE_VARIABLE, float32(lora.adapter));
    await this.#trainer.start(lora.adapter);

    const losses: number[] = [];
    let total = 0;
    const upcoming = Array.from({ length: spec.steps }, (_, step) => ({
      step,
      microBatches: batches.local(round, client, step),
    }));
    const sequencesOf = ({ microBatches }: PlannedStep) => microBatches.flat();
    const ahead = Math.max(WINDOW_TOKENS, this.#emulator?.sweptTokens ?? 0);
    for (const window of windows(upcoming, ahead, sequencesOf)) {
      const states = await this.#emulate(window.flatMap(sequencesOf), {
        signal,
        onLayer: ({ done }) => onSweep({ phase: 'local', round, client, done }),
      });
      let since = performance.now();
      const request = async (next: PlannedStep) => {
        signal.throwIfAborted();
        return this.#request(round, client, next, states);
      };
      for await (const { step, loss, tokens } of oneAhead(window, request)) {
        losses.push(loss);
        total += tokens;
        const now = performance.now();
        onStep({ phase: 'local', round, client, step, loss, tokens, ms: now - since });
        since = now;
      }
    }
    return { adapter: await this.#trainer.parameters(), samples: samplesPerRound(spec), losses, tokens: total };
  }

  /** Requests a step. */
  #request(
    round: number,
    client: number,
    { step, microBatches }: PlannedStep,
    states: ReadonlyMap<string, Float32Array>,
  ) {
    const { model, spec, onBatch } = this.#options;
    const collated = microBatches.map((sequences) => collate(sequences, 0));
    microBatches.forEach((sequences) => onBatch?.(round, client, step, sequences));
    const feeds = microBatches.map((sequences, i) => ({
      ...this.#feeds(sequences, collated[i]!, states),
      ...this.#dropout(round, client, step, i),
    }));
    const rate = learningRateAt(spec.optimizer, step, spec.steps);
    const stepped = explainNotFinite(
      {
        step: `step ${step}`,
        isFirst: round === 1 && step === 0,
        sequenceIds: collated.flatMap(({ ids }) => ids),
        weights: model.weights,
      },
      () => this.#trainer.step(feeds, rate),
    );
    const tokens = collated.reduce((sum, batch) => sum + batch.tokens, 0);
    return { result: stepped.then(({ loss }) => ({ step, loss, tokens })) };
  }

  async rehearse(): Promise<void> {
    const { compute, model, spec, pool } = this.#options;
    const sequences = longestBatch(pool, spec.batchSize);
    await checkEmulator(compute, model, sequences[0]!.inputIds);
    await compute.clear(EMULATOR_VARIABLE, model.emulator.layout.size);
    if (spec.proximalWeight > 0) await compute.clear(REFERENCE_VARIABLE, model.adapter.layout.size);
    const states = await this.#emulate(sequences);
    await this.#trainer.rehearse({
      ...this.#feeds(sequences, collate(sequences, 0), states),
      ...this.#dropout(0, 0, 0, 0),
    });
  }

  /**
   * The emulator's output for each sequence, by id. One pass serves many steps, as the emulator is fixed during a
   * round.
   */
  async #emulate(
    sequences: readonly Sequence[],
    options: SweepOptions = {},
  ): Promise<ReadonlyMap<string, Float32Array>> {
    if (!this.#emulator) return new Map();
    const unique = groupByPrefix([...new Map(sequences.map((sequence) => [sequence.id, sequence])).values()]);
    const [states] = await this.#emulator.runAll([unique], { emulator: EMULATOR_VARIABLE }, options);
    return new Map(unique.map(({ id }, i) => [id, states![i]![0]!]));
  }

  #dropout(...place: [round: number, client: number, step: number, microBatch: number]) {
    const { model, seed } = this.#options;
    return model.adapter.dropout > 0 ? dropoutFeed(randomStream(seed, 'dropout', 'client', ...place)) : {};
  }

  #feeds(
    sequences: readonly Sequence[],
    batch: Batch,
    states: ReadonlyMap<string, Float32Array>,
  ): Record<string, Tensor | string> {
    const { model, spec } = this.#options;
    const trunk = this.#emulator
      ? {
          hidden: joinStates(
            sequences.map(({ id }) => states.get(id)!),
            model.config.hiddenSize,
          ),
        }
      : { hidden: embed(model.weights, tokenIds(batch)), emulator: EMULATOR_VARIABLE };
    return {
      ...placeFeeds(batch, spec.batchSize),
      ...trunk,
      ...labelFeeds(batch, spec.gradientAccumulation),
      ...(spec.proximalWeight > 0 ? { reference: REFERENCE_VARIABLE } : {}),
    };
  }
}

/** A step, from 0, and the micro-batches it trains on. */
interface PlannedStep {
  readonly step: number;
  readonly microBatches: readonly (readonly Sequence[])[];
}
