import { availableParallelism } from 'node:os';
import { UserError } from '../../crds/facts/user-error.ts';
import type { DataSource, EvaluationSpec, ModelSpec } from '../../crds/types.ts';
import { unreadFields } from '../data/record-format.ts';
import { encodeExamples } from '../data/sequence.ts';
import { loadData } from '../data/source.ts';
import { applyTemplate, unusedWarning } from '../data/template.ts';
import { Compute } from '../engine/compute.ts';
import type { Provider } from '../engine/compute-protocol.ts';
import { matrixProduct } from '../engine/matrix-product.ts';
import { checkComputeWeights } from '../training/check-quantized.ts';
import { ModelEvaluator } from '../training/evaluation.ts';
import type { HeldOut } from '../training/evaluation.ts';
import { lockWhenFree } from '../files/folder-lock.ts';
import { openModelDirectory } from '../model/directory.ts';
import type { ModelDirectory } from '../model/directory.ts';
import type { FederatedModel, WatchedModel } from '../model/federated-model.ts';
import { openPeft } from '../model/lora/peft.ts';
import { quantizeAll } from '../model/quantize.ts';
import { dayOf } from '../../crds/day.ts';
import { loadTokenizer } from '../tokenizer/tokenizer.ts';
import { tasks } from '../tasks/registry.ts';
import { heldOutOf } from './job-data.ts';
import { availableMemory, checkMemory, toldWithPlan } from '../estimate/memory-check.ts';
import { plannedScoring } from '../estimate/planned-memory.ts';
import { withPlannedComputeWeights } from '../estimate/planned-quantized.ts';
import { formatBytes } from '../report/format.ts';
import { whileVerifying } from './while-verifying.ts';
import type { VerifyOptions } from './while-verifying.ts';
import { wholeModel } from './whole-model.ts';

/** Options of an evaluation: the model, the data and the task. */
export interface EvaluateOptions
  extends
    Pick<DataSource, 'format' | 'template'>,
    Pick<EvaluationSpec, 'task' | 'batchSize' | 'maxNewTokens'>,
    Pick<ModelSpec, 'computeWeights'>,
    Omit<VerifyOptions, 'signal'> {
  /** Hugging Face directory or hf:// URI of the model. */
  readonly model: string;
  /** PEFT directory of an adapter to apply to the model. */
  readonly adapter: string | null;
  /**
   * File of records: .json or .jsonl, either with .gz, or hf://datasets/…; a relative path is resolved against the
   * working directory.
   */
  readonly data: string;
  /** Score at most this many records; null means all. */
  readonly limit: number | null;
  /** Maximum sequence length in tokens; longer sequences are truncated. Null means the model's maximum. */
  readonly sequenceLength: number | null;
  /** Date that a chat template uses as today, such as 2026-11-30; null means today. */
  readonly date: string | null;
  /** Compute threads; null means all cores. */
  readonly threads: number | null;
  readonly provider: Provider;
  /** Evaluate even if the memory estimate exceeds the available memory. */
  readonly force: boolean;
  /** Receives the number of texts and prompts that are done. */
  readonly onProgress: (done: number, total: number) => void;
  /** Receives warnings, such as about records that were truncated or left out. */
  readonly onWarning: (message: string) => void;
}

export interface EvaluateResult {
  /** Records evaluated. */
  readonly n: number;
  /** Labelled tokens. */
  readonly tokens: number;
  /** Mean negative log-likelihood over all labelled tokens (nats). */
  readonly loss: number;
  /** Fraction in [0, 1]; absent if the task has no accuracy. */
  readonly accuracy?: number;
  /** Mean F1, for a task with partial credit. */
  readonly f1?: number;
  /** The date that the chat template wrote into the records; absent if it uses none. */
  readonly date?: string;
}

/**
 * Scores a full model, with or without an adapter, on the records of a file.
 * @throws UserError if the model, the adapter or the data is invalid, the task cannot be scored on the data, the loss
 *   is not finite, or 8 bits are asked for without a folder for them or of a model whose states are too large for them
 */
export async function evaluateModel(options: EvaluateOptions): Promise<EvaluateResult> {
  const { limit, batchSize, maxNewTokens, computeWeights, onWarning } = options;
  const int8Folder = computeWeights === 'Int8' ? folderOf(options) : null;
  const directory = await openModelDirectory(options.model);
  directory.warnings.forEach(onWarning);
  const adapter = options.adapter === null ? null : openPeft(options.adapter, directory.config);
  const task = tasks[options.task];
  const tokenizer = await loadTokenizer(directory.path, directory.config);
  if (task.generates) tokenizer.generationWarnings.forEach(onWarning);
  const readsDate = options.template === 'Chat' && tokenizer.chatTemplateReadsDate;
  if (options.date !== null && !readsDate) onWarning('--date is not used: the chat template does not use the date');
  const date = readsDate ? (options.date ?? dayOf(new Date())) : null;
  const { records, format } = await loadData({ uri: options.data, format: options.format }, process.cwd());
  const used = records.slice(0, limit ?? Infinity);
  const unused = unreadFields(used, format);
  const examples = applyTemplate(used, options.template, tokenizer, { date, unused });
  if (unused.size > 0) onWarning(unusedWarning(unused, used.length));
  const longest = options.sequenceLength ?? directory.config.maxPositions;
  const heldOut = heldOutOf(examples, task, tokenizer, (all) => {
    const { sequences, cutAway, truncated } = encodeExamples(all, tokenizer, longest);
    if (cutAway > 0) {
      onWarning(
        `${cutAway} of ${all.length} records are left out of the loss: nothing of their response fits into ${longest} tokens`,
      );
    }
    if (truncated > 0) onWarning(`${truncated} records are truncated to ${longest} tokens`);
    return sequences;
  });
  const whole = wholeModel(directory, adapter);
  const planned = plannedScoring(int8Folder === null ? whole : withPlannedComputeWeights(whole), {
    task: options.task,
    batchSize,
    maxNewTokens,
    length: longestOf(heldOut),
    sequences: heldOut.sequences.length,
  });
  const available = availableMemory();
  checkMemory(planned, { available, force: options.force }).forEach(onWarning);

  const score = async (verified: Promise<string>) => {
    const { provider, threads } = options;
    const compute = new Compute({ threads: threads ?? availableParallelism(), provider });
    try {
      const { model, checkUnchanged } =
        int8Folder === null
          ? { model: whole, checkUnchanged: () => {} }
          : await inInt8(whole, directory, int8Folder, await verified, options);
      const [text] = heldOut.sequences;
      if (text !== undefined) {
        const layers = [...model.split.teacher, ...model.split.tail];
        await checkComputeWeights(compute, model, layers, text.inputIds, 'use --compute-weights AsStored');
      }
      const loading = ModelEvaluator.load({
        compute,
        model,
        spec: { task: options.task, everyRounds: 0, limit: limit ?? 0, maxNewTokens, batchSize },
        task,
        heldOut,
        tokenizer,
        memoryBytes: STATES_MEMORY,
      });
      const [evaluator] = await Promise.all([loading, verified]);
      const nothing = new Float32Array(0);
      const { signal } = new AbortController();
      const scored = await evaluator.score('teacher', adapter?.values ?? nothing, nothing, signal, options.onProgress);
      checkUnchanged();
      return scored;
    } finally {
      compute.close();
    }
  };
  const { loss, accuracy, f1 } = await toldWithPlan(planned, `${formatBytes(available)} were available`, () =>
    whileVerifying(directory, options, score),
  );
  directory.checkUnchanged();
  if (!Number.isFinite(loss))
    throw new UserError(`the loss of this model${adapter === null ? '' : ' with this adapter'} is ${loss}`, {
      hint: `Its hidden states are NaN or infinite: use another copy of ${adapter === null ? 'the model' : 'the model or the adapter'}${computeWeights === 'Int8' ? ', or --compute-weights AsStored' : ''}.`,
    });
  const tokens = heldOut.sequences.reduce(
    (sum, { labels }) => sum + labels.subarray(1).filter((label) => label >= 0).length,
    0,
  );
  return {
    n: heldOut.sequences.length,
    tokens,
    loss,
    ...(accuracy === null ? {} : { accuracy }),
    ...(f1 === undefined ? {} : { f1 }),
    ...(date === null ? {} : { date }),
  };
}

/** The folder for weights in 8 bits. */
function folderOf({ cache }: Pick<EvaluateOptions, 'cache'>): string {
  if (cache !== null) return cache;
  throw new UserError('--compute-weights Int8 needs a folder for the weights in 8 bits, and this user has none', {
    hint: 'Set XDG_CACHE_HOME to a folder that this user can write.',
  });
}

/** The model with its projections in 8 bits, in a file that later evaluations reuse, and that is watched. */
async function inInt8(
  model: FederatedModel,
  { checkUnchanged: checkStored }: Pick<ModelDirectory, 'checkUnchanged'>,
  folder: string,
  modelSha256: string,
  { provider, onWarning }: Pick<EvaluateOptions, 'provider' | 'onWarning'>,
): Promise<WatchedModel> {
  const lock = (layers: string) =>
    lockWhenFree(layers, (pid) => onWarning(`waiting for process ${pid}, which writes the weights in 8 bits`));
  const options = {
    modelSha256,
    checkUnchanged: checkStored,
    held: 'auto',
    product: matrixProduct(provider),
    lock,
  };
  const { computed, checkUnchanged } = await quantizeAll(model, folder, options);
  return { model: { ...model, ...computed }, checkUnchanged };
}

function longestOf({ sequences, prompts }: HeldOut): number {
  return [...sequences.map(({ inputIds }) => inputIds), ...prompts.map(({ ids }) => ids)].reduce(
    (longest, { length }) => Math.max(longest, length),
    0,
  );
}

/** Enough for the states of one pack, as each text is scored once. */
const STATES_MEMORY = 2 ** 28;
