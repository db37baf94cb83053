import type { EvaluationSpec } from '../../crds/types.ts';
import { collate } from '../data/batch.ts';
import type { Sequence } from '../data/sequence.ts';
import type { TextExample } from '../data/example.ts';
import type { Compute } from '../engine/compute.ts';
import { float32 } from '../engine/graph/tensor.ts';
import type { Tensor } from '../engine/graph/tensor.ts';
import type { Evaluation } from '../../crds/facts/evaluation.ts';
import type { Score } from '../../crds/facts/score.ts';
import { withComputeWeights } from '../model/federated-model.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { Generator } from '../inference/generator.ts';
import type { LayerProgress, SweepOptions } from '../inference/layer-sweep.ts';
import { groupByPrefix, packSequences } from '../inference/packs.ts';
import type { Trunk } from '../model/programs/hidden-states.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { loadTrunk } from '../inference/trunk-runner.ts';
import type { HiddenStates, TrunkRunner, TrunkVectors } from '../inference/trunk-runner.ts';
import type { GenerationTask, PredictionScore, Task } from '../tasks/task.ts';
import type { Evaluator, LoraState } from '../federation/contracts.ts';
import { Scorer } from './scorer.ts';
import type { Counts } from './scorer.ts';
import { TeacherStates } from './teacher-states.ts';

/** The held-out examples: texts for the loss, prompts for generation. */
export interface HeldOut {
  readonly sequences: readonly Sequence[];
  readonly prompts: readonly { readonly example: TextExample; readonly ids: readonly number[] }[];
}

export interface ModelEvaluatorOptions {
  readonly compute: Compute;
  readonly model: FederatedModel;
  readonly spec: EvaluationSpec;
  readonly task: Task;
  readonly heldOut: HeldOut;
  readonly tokenizer: Tokenizer;
  /** Memory limit for the hidden states of the held-out texts. */
  readonly memoryBytes: number;
}

/** Scores the base model, emulator + adapter and full model + adapter on held-out examples. */
export class ModelEvaluator implements Evaluator {
  readonly #options: ModelEvaluatorOptions;
  readonly #scorer: Scorer;
  readonly #teacherRunner: TrunkRunner;
  /** Loaded when the emulator is first scored. An evaluation of only the full model does not need it. */
  #emulatorRunner: TrunkRunner | null = null;
  readonly #generators: Partial<Record<Trunk, Generator>> = {};
  /** Cached, because the base model does not change. */
  #base: Score | null = null;
  /** Cached states of the full model before the adapter, if the adapter is last: they do not change either. */
  readonly #teacher: TeacherStates | null;

  private constructor(options: ModelEvaluatorOptions, scorer: Scorer, teacherRunner: TrunkRunner) {
    const { model, heldOut, memoryBytes } = options;
    this.#options = options;
    this.#scorer = scorer;
    this.#teacherRunner = teacherRunner;
    this.#teacher =
      model.split.front.length > 0
        ? null
        : new TeacherStates({
            runner: teacherRunner,
            packs: packSequences(groupByPrefix(heldOut.sequences)),
            layers: 1,
            memoryBytes,
            disk: null,
          });
  }

  static async load(options: ModelEvaluatorOptions): Promise<ModelEvaluator> {
    const { compute } = options;
    const model = withComputeWeights(options.model);
    const scorer = await Scorer.load(compute, model);
    // Without a teacher part, all layers belong to the adapter and start from the embedding.
    const teacherRunner = await loadTrunk(compute, model, 'teacher', [model.split.teacher.at(-1) ?? -1]);
    return new ModelEvaluator({ ...options, model }, scorer, teacherRunner);
  }

  async evaluate(input: {
    lora: LoraState;
    signal: AbortSignal;
    onProgress: (done: number, total: number) => void;
  }): Promise<Evaluation> {
    const { lora, signal, onProgress } = input;
    const untrained = new Float32Array(lora.adapter.length);
    const total = this.#base ? 2 : 3;
    let done = 0;
    const scored = async (trunk: Trunk, adapter: Float32Array): Promise<Score> => {
      signal.throwIfAborted();
      const score = await this.score(trunk, adapter, lora.emulator, signal, (part, whole) =>
        onProgress(done + part / whole, total),
      );
      onProgress(++done, total);
      return score;
    };
    this.#base ??= await scored('teacher', untrained);
    return {
      base: this.#base,
      adapEmu: await scored('emulator', lora.adapter),
      adapFu: await scored('teacher', lora.adapter),
    };
  }

  /**
   * Loss over all labelled tokens and the task's accuracy, of the full model ('teacher') or of the emulator, with an
   * adapter.
   * @param onProgress receives the number of texts and prompts that are done
   */
  async score(
    trunk: Trunk,
    adapter: Float32Array,
    emulator: Float32Array,
    signal: AbortSignal,
    onProgress: (done: number, total: number) => void = () => {},
  ): Promise<Score> {
    const { task, heldOut } = this.#options;
    const total = heldOut.sequences.length + heldOut.prompts.length;
    let done = 0;
    const reach = (count: number) => onProgress((done = count), total);
    const advance = (count: number) => reach(done + count);
    const vectors = { adapter: float32(adapter), ...(trunk === 'emulator' ? { emulator: float32(emulator) } : {}) };
    const { loss, labelled, correct } = await this.count(trunk, vectors, signal, reach);
    const score = task.generates
      ? await this.#generate(trunk, task, vectors, signal, advance)
      : { accuracy: task.accuracy({ labelled, correct }) };
    return { ...score, loss: loss / labelled };
  }

  /** @param onTexts receives the number of texts that are done, in which a part of a sweep is a part of its texts */
  async count(
    trunk: Trunk,
    vectors: { adapter: Tensor; emulator?: Tensor },
    signal: AbortSignal,
    onTexts: (done: number) => void = () => {},
  ): Promise<Counts> {
    const { sequences } = this.#options.heldOut;
    const packs = packSequences(groupByPrefix(sequences));
    const runner = await this.#runner(trunk);
    const stages = [runner.sweptTokens > 0, this.#scorer.sweeps, true].filter(Boolean).length;
    let swept = 0;
    let scored = 0;
    const onLayer = ({ share }: LayerProgress) => {
      swept += (share * sequences.length) / (packs.length * stages);
      onTexts(Math.max(scored, Math.floor(swept)));
    };
    const options = { signal, onLayer };
    const batches = packs.map((pack) => collate(pack, 0));
    const states = this.#states(runner, trunk, packs, vectors, options);
    const total = { loss: 0, labelled: 0, correct: 0 };
    signal.throwIfAborted();
    for await (const { batch, ...counts } of this.#scorer.score(batches, states, vectors.adapter, options)) {
      total.loss += counts.loss;
      total.labelled += counts.labelled;
      total.correct += counts.correct;
      scored += batch.rows;
      onTexts(Math.max(scored, Math.floor(swept)));
      signal.throwIfAborted();
    }
    return total;
  }

  /** The states of each pack before the tail. */
  async *#states(
    runner: TrunkRunner,
    trunk: Trunk,
    packs: readonly (readonly Sequence[])[],
    vectors: { adapter: Tensor; emulator?: Tensor },
    options: SweepOptions,
  ): AsyncGenerator<HiddenStates[], void> {
    if (trunk === 'emulator' || !this.#teacher)
      return yield* runner.passes(packs, this.#trunkVectors(vectors), options);
    for (const [i, pack] of packs.entries())
      yield await this.#teacher.of(pack, () => packs.slice(i + 1).flat(), options);
  }

  async #runner(trunk: Trunk): Promise<TrunkRunner> {
    if (trunk === 'teacher') return this.#teacherRunner;
    const { compute, model } = this.#options;
    return (this.#emulatorRunner ??= await loadTrunk(compute, model, 'emulator', model.split.emulator.slice(-1)));
  }

  /** A trunk needs the adapter only if it starts with adapter layers. */
  #trunkVectors({ adapter, ...rest }: { adapter: Tensor; emulator?: Tensor }): TrunkVectors {
    return this.#options.model.split.front.length > 0 ? { adapter, ...rest } : rest;
  }

  async #generate(
    trunk: Trunk,
    task: GenerationTask,
    vectors: TrunkVectors,
    signal: AbortSignal,
    advance: (count: number) => void,
  ): Promise<Omit<Score, 'loss'>> {
    const { compute, model, spec, heldOut, tokenizer } = this.#options;
    const generator = (this.#generators[trunk] ??= await Generator.load(compute, model, trunk));
    const limits = { maxNewTokens: spec.maxNewTokens, stopTokenIds: tokenizer.stopTokenIds };
    const shortestFirst = heldOut.prompts.toSorted((a, b) => a.ids.length - b.ids.length);
    const scores: PredictionScore[] = [];
    for (let start = 0; start < shortestFirst.length; start += spec.batchSize) {
      signal.throwIfAborted();
      const group = shortestFirst.slice(start, start + spec.batchSize);
      const written = await generator.generate(
        group.map(({ ids }) => ids),
        limits,
        vectors,
      );
      group.forEach(({ example }, i) => {
        scores.push(task.score(tokenizer.decode(written[i]!, { skipSpecial: true }), example));
      });
      advance(group.length);
    }
    const mean = (of: (score: PredictionScore) => number) =>
      scores.reduce((sum, score) => sum + of(score), 0) / scores.length;
    const partialCredit = scores.some(({ f1 }) => f1 !== undefined);
    return { accuracy: mean(({ accuracy }) => accuracy), ...(partialCredit ? { f1: mean(({ f1 = 0 }) => f1) } : {}) };
  }
}
