import type { EvaluationSpec } from '../../crds/types.ts';
import { collate } from '../data/batch.ts';
import type { Sequence } from '../data/sequence.ts';
import type { TextExample } from '../data/example.ts';
import type { Compute, Session } from '../engine/compute.ts';
import { float32 } from '../engine/graph/tensor.ts';
import type { Tensor } from '../engine/graph/tensor.ts';
import type { Evaluation } from '../../crds/facts/evaluation.ts';
import type { Score } from '../../crds/facts/score.ts';
import { joinStates, labelFeeds, placeFeeds } from '../model/batch-feeds.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { Generator } from '../inference/generator.ts';
import { groupByPrefix, packSequences } from '../inference/packs.ts';
import type { Trunk } from '../model/programs/hidden-states.ts';
import { scoringProgram } from '../model/programs/scoring.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { TrunkRunner } from '../inference/trunk-runner.ts';
import type { TrunkVectors } from '../inference/trunk-runner.ts';
import type { GenerationTask, PredictionScore, Task } from '../tasks/task.ts';
import type { Evaluator, LoraState } from '../federation/contracts.ts';
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

/** Sums over the held-out examples. */
export interface Counts {
  readonly loss: number;
  readonly labelled: number;
  readonly correct: number;
}

/** Scores the base model, emulator + adapter and full model + adapter on held-out examples. */
export class ModelEvaluator implements Evaluator {
  readonly #options: ModelEvaluatorOptions;
  readonly #scoring: Session;
  readonly #teacherRunner: TrunkRunner;
  /** Loaded when the emulator is first scored. An evaluation of only the full model does not need it. */
  #emulatorRunner: TrunkRunner | null = null;
  readonly #generators: Partial<Record<Trunk, Generator>> = {};
  /** Cached, because the base model does not change. */
  #base: Score | null = null;
  /** Cached states of the full model before the adapter, if the adapter is last: they do not change either. */
  readonly #teacher: TeacherStates | null;

  private constructor(options: ModelEvaluatorOptions, scoring: Session, teacherRunner: TrunkRunner) {
    const { model, heldOut, memoryBytes } = options;
    this.#options = options;
    this.#scoring = scoring;
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
    const { compute, model } = options;
    const scoring = await compute.load(scoringProgram(model), weightFolder(model.weights));
    // Without a teacher part, all layers belong to the adapter and start from the embedding.
    const teacherRunner = await TrunkRunner.load(compute, model, 'teacher', [model.split.teacher.at(-1) ?? -1]);
    return new ModelEvaluator(options, scoring, teacherRunner);
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
      const score = await this.score(trunk, adapter, lora.emulator, signal);
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
    const advance = (count: number) => onProgress((done += count), total);
    const vectors = { adapter: float32(adapter), ...(trunk === 'emulator' ? { emulator: float32(emulator) } : {}) };
    const { loss, labelled, correct } = await this.count(trunk, vectors, signal, advance);
    const score = task.generates
      ? await this.#generate(trunk, task, vectors, signal, advance)
      : { accuracy: task.accuracy({ labelled, correct }) };
    return { ...score, loss: loss / labelled };
  }

  async count(
    trunk: Trunk,
    vectors: { adapter: Tensor; emulator?: Tensor },
    signal: AbortSignal,
    advance: (count: number) => void = () => {},
  ): Promise<Counts> {
    const { model, heldOut } = this.#options;
    const trunkVectors = this.#trunkVectors(vectors);
    const counts = { loss: 0, labelled: 0, correct: 0 };
    for (const pack of packSequences(groupByPrefix(heldOut.sequences))) {
      signal.throwIfAborted();
      const states =
        trunk === 'teacher' && this.#teacher
          ? await this.#teacher.of(pack)
          : await (await this.#runner(trunk)).run(pack, trunkVectors);
      const batch = collate(pack, 0);
      const { labelledRows, labels } = labelFeeds(batch);
      const { outputs } = await this.#scoring.run({
        feeds: {
          ...placeFeeds(batch),
          hidden: joinStates(
            states.map(([last]) => last!),
            model.config.hiddenSize,
          ),
          adapter: vectors.adapter,
          labelledRows,
          labels,
        },
        fetch: ['nll', 'correct'],
      });
      const sum = (name: string) => Array.from(outputs[name]!.data, Number).reduce((a, b) => a + b, 0);
      counts.loss += sum('nll');
      counts.correct += sum('correct');
      counts.labelled += labels.data.length;
      advance(pack.length);
    }
    return counts;
  }

  async #runner(trunk: Trunk): Promise<TrunkRunner> {
    if (trunk === 'teacher') return this.#teacherRunner;
    const { compute, model } = this.#options;
    return (this.#emulatorRunner ??= await TrunkRunner.load(
      compute,
      model,
      'emulator',
      model.split.emulator.slice(-1),
    ));
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
