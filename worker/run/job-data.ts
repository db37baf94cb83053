import type { DataSource, FedBiOTJobSpec } from '../../crds/types.ts';
import { partitionRecords } from '../data/partition.ts';
import type { DataPartition } from '../data/partition.ts';
import { encodeExamples, encodePrompt } from '../data/sequence.ts';
import type { Sequence } from '../data/sequence.ts';
import { unreadFields } from '../data/record-format.ts';
import { recordError } from '../data/record.ts';
import { loadData } from '../data/source.ts';
import { applyTemplate, unusedWarning } from '../data/template.ts';
import type { Example, TextExample } from '../data/example.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import type { HeldOut } from '../training/evaluation.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { tasks } from '../tasks/registry.ts';
import type { Task } from '../tasks/task.ts';

/** The training data, tokenised and partitioned among the clients. */
export interface ClientData {
  /** Sequences of each client. */
  readonly clients: readonly (readonly Sequence[])[];
  readonly partition: DataPartition['summary'];
  /** SHA-256 of each file, by its role. */
  readonly sha256: Readonly<Record<string, string>>;
}

/** The data for alignment and evaluation. */
export interface ServerData {
  /** Empty when the job has none. */
  readonly publicSequences: readonly Sequence[];
  /** Null when there is nothing to evaluate on. */
  readonly heldOut: HeldOut | null;
  readonly task: Task;
  /** SHA-256 of each file, by its role. */
  readonly sha256: Readonly<Record<string, string>>;
}

/** The data of a job whose server and clients share one process. */
export type JobData = ClientData & ServerData;

/**
 * Loads all data sources of the spec. Relative paths are resolved against `baseDirectory`. `warn` receives a message
 * about records that were truncated or left out.
 */
export async function loadJobData(
  spec: FedBiOTJobSpec,
  tokenizer: Tokenizer,
  baseDirectory: string,
  warn: (message: string) => void,
): Promise<JobData> {
  const client = await loadClientData(spec, tokenizer, baseDirectory, warn);
  const server = await loadServerData(spec, tokenizer, baseDirectory, warn);
  return { ...client, ...server, sha256: { ...client.sha256, ...server.sha256 } };
}

/** Loads data.train and partitions it among the clients. */
export async function loadClientData(
  spec: FedBiOTJobSpec,
  tokenizer: Tokenizer,
  baseDirectory: string,
  warn: (message: string) => void,
): Promise<ClientData> {
  const { data, federation, seed } = spec;
  const { examples, sha256 } = await loadExamples('train', data.train, { data, tokenizer, baseDirectory, warn });
  const encoded = encodeRole('train', examples, tokenizer, federation.local.sequenceLength, warn);
  const kept = encoded.kept.map((index) => examples[index]!);
  const { clients, summary } = withTruncationCause(encoded, examples.length, federation.local.sequenceLength, () =>
    partitionRecords(kept, data.partition, federation.clients, seed),
  );
  return {
    clients: clients.map((indices) => indices.map((index) => encoded.sequences[index]!)),
    partition: summary,
    sha256: { 'data.train': sha256 },
  };
}

/** Loads data.public and data.eval, if the spec has them. */
export async function loadServerData(
  spec: FedBiOTJobSpec,
  tokenizer: Tokenizer,
  baseDirectory: string,
  warn: (message: string) => void,
): Promise<ServerData> {
  const { data, federation, emulator, evaluation } = spec;
  const sha256: Record<string, string> = {};
  let publicSequences: readonly Sequence[] = [];
  if (data.public) {
    const loaded = await loadExamples('public', data.public, { data, tokenizer, baseDirectory, warn });
    sha256['data.public'] = loaded.sha256;
    publicSequences = encodeRole(
      'public',
      loaded.examples,
      tokenizer,
      emulator.alignment.sequenceLength,
      warn,
    ).sequences;
  }
  const task = tasks[evaluation.task];
  if (data.eval && task.generates) tokenizer.generationWarnings.forEach(warn);
  let heldOut: HeldOut | null = null;
  if (data.eval) {
    const limit = evaluation.limit === 0 ? Infinity : evaluation.limit;
    const loaded = await loadExamples('eval', data.eval, { data, tokenizer, baseDirectory, warn, limit });
    sha256['data.eval'] = loaded.sha256;
    heldOut = heldOutOf(
      loaded.examples,
      task,
      tokenizer,
      (examples) => encodeRole('eval', examples, tokenizer, federation.local.sequenceLength, warn).sequences,
    );
  }
  return { publicSequences, heldOut, task, sha256 };
}

interface Loading {
  readonly data: FedBiOTJobSpec['data'];
  readonly tokenizer: Tokenizer;
  readonly baseDirectory: string;
  readonly warn: (message: string) => void;
  /** Load at most this many records. */
  readonly limit?: number;
}

async function loadExamples(
  role: string,
  source: DataSource,
  { data, tokenizer, baseDirectory, warn, limit = Infinity }: Loading,
): Promise<{ examples: Example[]; sha256: string }> {
  const { records, format, sha256 } = await loadData(source, baseDirectory);
  const used = records.slice(0, limit);
  const unused = unreadFields(used, format);
  // The files of a job mostly have the same fields: the partition's field is not an unused one.
  if (data.partition.kind !== 'IID') unused.delete(data.partition.field);
  const examples = applyTemplate(used, source.template, tokenizer, { date: data.date ?? null, unused });
  if (unused.size > 0) warn(`data.${role}: ${unusedWarning(unused, used.length)}`);
  return { examples, sha256 };
}

/** If partitioning fails after records were left out, the error says so: that may be the cause. */
function withTruncationCause<T>(
  { cutAway }: { cutAway: number },
  records: number,
  sequenceLength: number,
  partition: () => T,
): T {
  try {
    return partition();
  } catch (cause) {
    if (cutAway === 0 || !(cause instanceof UserError)) throw cause;
    throw new UserError(
      `${cause.message}, after ${cutAway} of ${records} records were left out: nothing of their response fits into ${sequenceLength} tokens`,
      {
        hint: `Raise federation.local.sequenceLength. To leave these records out: ${cause.hint ?? 'give more training data.'}`,
        cause,
      },
    );
  }
}

function encodeRole(
  role: string,
  examples: readonly Example[],
  tokenizer: Tokenizer,
  sequenceLength: number,
  warn: (message: string) => void,
) {
  const encoded = encodeExamples(examples, tokenizer, sequenceLength);
  if (encoded.cutAway > 0) {
    warn(
      `data.${role}: ${encoded.cutAway} of ${examples.length} records are left out: nothing of their response fits into ${sequenceLength} tokens`,
    );
  }
  if (encoded.truncated > 0)
    warn(`data.${role}: ${encoded.truncated} records are truncated to ${sequenceLength} tokens`);
  return encoded;
}

/**
 * The held-out examples of an evaluation: all for the loss; for generation those with a prompt, which the task must be
 * able to score.
 */
export function heldOutOf(
  examples: readonly Example[],
  task: Task,
  tokenizer: Tokenizer,
  encode: (examples: readonly Example[]) => readonly Sequence[],
): HeldOut {
  const texts = examples.filter((example): example is TextExample => example.kind === 'text');
  if (task.generates) {
    if (texts.length < examples.length) {
      throw new UserError(`${examples[0]!.file}: the task ${task.name} reads text, but tokenized records have none`, {
        hint: 'Evaluate with task loss or tokens, or on records with text.',
      });
    }
    for (const example of texts) {
      if (example.acceptedAnswers.length === 0) {
        throw recordError(
          example,
          `the task ${task.name} compares text, but the turn to answer is a tool call`,
          'Evaluate with task loss or tokens.',
        );
      }
      task.check(example);
    }
  }
  const prompts = task.generates ? texts.map((example) => ({ example, ids: encodePrompt(example, tokenizer) })) : [];
  return { sequences: encode(examples), prompts };
}

/**
 * Runs `prepare`, which appends to `warnings`. The warnings are normally emitted when the run begins. If `prepare`
 * fails, they are emitted at once, because they may explain the failure.
 */
export async function emitWarningsOnFailure<T>(
  warnings: readonly string[],
  emit: (message: string) => void,
  prepare: () => Promise<T>,
): Promise<T> {
  try {
    return await prepare();
  } catch (error) {
    warnings.forEach(emit);
    throw error;
  }
}
