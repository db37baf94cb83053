import type { AlignmentSpec } from '../../crds/types.ts';
import { collate } from '../data/batch.ts';
import type { Batch } from '../data/batch.ts';
import type { Compute } from '../engine/compute.ts';
import { float32 } from '../engine/graph/tensor.ts';
import type { Tensor } from '../engine/graph/tensor.ts';
import { Trainer } from '../engine/trainer.ts';
import { dropoutFeed, joinStates, labelFeeds, placeFeeds, tokenIds, tokenWeights } from '../model/batch-feeds.ts';
import { embed } from '../model/weights/embedding.ts';
import { withComputeWeights } from '../model/federated-model.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import type { SweepOptions } from '../inference/layer-sweep.ts';
import { packInOrderOfUse, packTokens } from '../inference/packs.ts';
import { alignmentProgram, comparedLayers, teacherAfter } from '../model/programs/alignment.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';
import { loadTrunk } from '../inference/trunk-runner.ts';
import type { HiddenStates } from '../inference/trunk-runner.ts';
import type { Sequence } from '../data/sequence.ts';
import { randomStream } from '../random.ts';
import { alignmentSteps, longestBatch } from './batches.ts';
import type { BatchSource } from './batches.ts';
import type {
  Aligner,
  AlignmentOutcome,
  LoraState,
  OnStep,
  OnSweep,
  Rehearsing,
  TrainingState,
} from '../federation/contracts.ts';
import { checkEmulator } from './check-quantized.ts';
import { explainNotFinite, learningRateAt, oneAhead } from './steps.ts';
import { TeacherStates } from './teacher-states.ts';
import type { DiskCache } from './teacher-states.ts';
import { windows } from './windows.ts';

export interface EmulatorAlignerOptions {
  readonly compute: Compute;
  readonly model: FederatedModel;
  readonly spec: AlignmentSpec;
  readonly seed: number;
  readonly batches: BatchSource;
  /** All public sequences, in the order of their first use. */
  readonly pool: readonly Sequence[];
  readonly memoryBytes: number;
  readonly disk: DiskCache | null;
  /** Receives every batch, in the order of use. */
  readonly onBatch?: (round: number, step: number, sequences: readonly Sequence[]) => void;
}

const ADAPTER_VARIABLE = 'aligner.adapter';

/** The server's part of the method: trains the emulator's LoRA to imitate the teacher part on public data. */
export class EmulatorAligner implements Aligner, Rehearsing {
  readonly #options: EmulatorAlignerOptions;
  readonly #trainer: Trainer;
  readonly #teacher: TeacherSource;
  readonly #compared: readonly number[];

  private constructor(options: EmulatorAlignerOptions, trainer: Trainer, teacher: TeacherSource) {
    this.#options = options;
    this.#trainer = trainer;
    this.#teacher = teacher;
    this.#compared = comparedLayers(options.model, options.spec.similarity);
  }

  static async load(options: EmulatorAlignerOptions): Promise<EmulatorAligner> {
    const { compute, model, spec } = options;
    const gradient = await compute.load(alignmentProgram(model, spec), weightFolder(model), 'often');
    const trainer = await Trainer.create(compute, gradient, model.emulator.layout.size, spec.optimizer, 'aligner');
    const compared = comparedLayers(model, spec.similarity);
    const teacher =
      model.split.front.length > 0 ? await statesPerStep(options, compared) : await cachedStates(options, compared);
    return new EmulatorAligner(options, trainer, teacher);
  }

  steps(round: number): number {
    return alignmentSteps(this.#options.spec, round);
  }

  async align(input: {
    round: number;
    lora: LoraState;
    from: TrainingState | null;
    onStep: OnStep;
    onSweep: OnSweep;
    signal: AbortSignal;
  }): Promise<AlignmentOutcome> {
    const { round, lora, from, onStep, onSweep, signal } = input;
    const { compute, batches } = this.#options;
    const steps = this.steps(round);
    const losses = [...(from?.losses ?? [])];
    await compute.write(ADAPTER_VARIABLE, float32(lora.adapter));
    await this.#trainer.start(from ?? lora.emulator);
    const first = from?.step ?? 0;
    const upcoming = Array.from({ length: steps - first }, (_, i) => batches.alignment(round, first + i));
    const teacher = this.#teacher(upcoming, {
      signal,
      onLayer: ({ done }) => onSweep({ phase: 'align', round, client: null, done }),
    });
    const planned = untilAborted(plannedSteps(first, upcoming, teacher), signal);
    let since = performance.now();
    for await (const { step, loss, tokens } of oneAhead(planned, (next) => this.#request(round, next))) {
      losses.push(loss);
      const now = performance.now();
      onStep({ phase: 'align', round, client: null, step, loss, tokens, ms: now - since });
      since = now;
    }
    if (losses.length < steps) return { done: false, state: { ...(await this.#trainer.state()), losses } };
    return { done: true, emulator: await this.#trainer.parameters(), losses };
  }

  /** Requests a step. */
  async #request(round: number, { step, sequences, teacher }: PlannedStep) {
    const { model, spec, onBatch } = this.#options;
    onBatch?.(round, step, sequences);
    const batch = collate(sequences, 0);
    const feeds = { ...this.#feeds(batch, teacher), ...this.#dropout(round, step) };
    const rate = learningRateAt(spec.optimizer, step, this.steps(round));
    const stepped = explainNotFinite(
      {
        step: `alignment before round ${round}, step ${step}`,
        isFirst: round === 1 && step === 0,
        sequenceIds: batch.ids,
        weights: model.weights,
      },
      () => this.#trainer.step([feeds], rate),
    );
    return { result: stepped.then(({ loss }) => ({ step, loss, tokens: batch.tokens })) };
  }

  async rehearse(): Promise<void> {
    const { compute, model, spec, pool } = this.#options;
    const sequences = longestBatch(pool, spec.batchSize);
    if (sequences.length === 0) return;
    await checkEmulator(compute, model, sequences[0]!.inputIds);
    await compute.clear(ADAPTER_VARIABLE, model.adapter.layout.size);
    // The teacher's states are not computed here: the job's states are cached and computed during the rounds.
    const states = sequences.map(({ inputIds }) => new Float32Array(inputIds.length * model.config.hiddenSize).fill(1));
    const input = model.split.front.length > 0 ? states : null;
    const feeds = this.#feeds(collate(sequences, 0), {
      input,
      compared: states.map((state) => this.#compared.map(() => state)),
    });
    await this.#trainer.rehearse({ ...feeds, ...this.#dropout(0, 0) });
  }

  #dropout(round: number, step: number) {
    const { model, seed } = this.#options;
    return model.emulator.dropout > 0 ? dropoutFeed(randomStream(seed, 'dropout', 'alignment', round, step)) : {};
  }

  #feeds(batch: Batch, { input, compared }: TeacherInput): Record<string, Tensor | string> {
    const { model, spec } = this.#options;
    const width = model.config.hiddenSize;
    const needsLogits = spec.klWeight > 0 || spec.languageModelWeight > 0;
    return {
      ...placeFeeds(batch, spec.batchSize),
      hidden: input ? joinStates(input, width) : embed(model.weights, tokenIds(batch)),
      tokenWeights: tokenWeights(batch),
      ...Object.fromEntries(
        this.#compared.map((layer, i) => [
          teacherAfter(layer),
          joinStates(
            compared.map((states) => states[i]!),
            width,
          ),
        ]),
      ),
      ...(needsLogits ? { adapter: ADAPTER_VARIABLE } : {}),
      ...(spec.languageModelWeight > 0 ? labelFeeds(batch) : {}),
    };
  }
}

/**
 * The teacher's states for a batch: for each sequence the trunk's input, unless that is the embedding, and the states
 * after the compared layers.
 */
interface TeacherInput {
  readonly input: readonly Float32Array[] | null;
  readonly compared: readonly HiddenStates[];
}

/** What the teacher gives for each of the batches, in order. Throws the signal's reason if it aborts a sweep. */
type TeacherSource = (
  batches: readonly (readonly Sequence[])[],
  options: SweepOptions,
) => AsyncGenerator<TeacherInput, void>;

/** A step, from 0, with its inputs. */
interface PlannedStep {
  readonly step: number;
  readonly sequences: readonly Sequence[];
  readonly teacher: TeacherInput;
}

async function* plannedSteps(
  first: number,
  batches: readonly (readonly Sequence[])[],
  inputs: AsyncIterable<TeacherInput>,
): AsyncGenerator<PlannedStep, void> {
  let done = 0;
  for await (const teacher of inputs) {
    yield { step: first + done, sequences: batches[done]!, teacher };
    done++;
  }
}

/** Ends when the signal aborts, also while an item is computed. */
async function* untilAborted<Item>(items: AsyncIterable<Item>, signal: AbortSignal): AsyncGenerator<Item, void> {
  if (signal.aborted) return;
  try {
    for await (const item of items) {
      yield item;
      if (signal.aborted) return;
    }
  } catch (error) {
    if (error !== signal.reason) throw error;
  }
}

/** If the adapter is last, the teacher's states are constant over the job, and are cached. */
async function cachedStates(options: EmulatorAlignerOptions, compared: readonly number[]): Promise<TeacherSource> {
  const { compute, model, pool, memoryBytes, disk } = options;
  const runner = await loadTrunk(compute, withComputeWeights(model), 'teacher', compared);
  const states = new TeacherStates({
    runner,
    packs: packInOrderOfUse(pool, packTokens(compute.provider)),
    layers: compared.length,
    memoryBytes,
    disk,
  });
  return async function* (batches, options) {
    for (const [i, sequences] of batches.entries()) {
      const following = () => batches.slice(i + 1).flat();
      yield { input: null, compared: await states.of(sequences, following, options) };
    }
  };
}

/**
 * If the adapter has layers in front, the teacher's states depend on the current adapter, and are computed at every
 * step, or for a large model at once for the steps that a sweep serves.
 */
async function statesPerStep(
  { compute, model }: EmulatorAlignerOptions,
  compared: readonly number[],
): Promise<TeacherSource> {
  const runner = await loadTrunk(compute, withComputeWeights(model), 'teacher', [-1, ...compared]);
  return async function* (batches, options) {
    for (const window of windows(batches, runner.sweptTokens, (sequences) => sequences)) {
      const computed = await runner.runAll(window, { adapter: ADAPTER_VARIABLE }, options);
      for (const states of computed)
        yield { input: states.map(([first]) => first!), compared: states.map(([, ...rest]) => rest) };
    }
  };
}
