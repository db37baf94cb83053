import type { DataSource, FedBiOTJobSpec } from '../../crds/types.ts';
import { partitionRecords, type DataPartition } from '../data/partition.ts';
import { encodeExamples, encodePrompt, type Sequence } from '../data/sequence.ts';
import { loadData } from '../data/source.ts';
import { applyTemplate, type Example, type TextExample } from '../data/template.ts';
import { UserError } from '../errors.ts';
import type { HeldOut } from '../federation/evaluation.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { tasks } from '../tasks/registry.ts';
import type { Task } from '../tasks/task.ts';

/** A job's data, tokenised and dealt out. */
export interface JobData {
  /** By client. */
  readonly clients: readonly (readonly Sequence[])[];
  readonly partition: DataPartition['summary'];
  /** The server's public sequences; empty when the job has none. */
  readonly publicSequences: readonly Sequence[];
  /** Null when there is nothing to evaluate on. */
  readonly heldOut: HeldOut | null;
  readonly task: Task;
  /** SHA-256 of each file, by its role. */
  readonly sha256: Readonly<Record<string, string>>;
}

/** Loads everything the spec names; paths count from `baseDirectory`. `warn` hears of records that were cut. */
export async function loadJobData(
  spec: FedBiOTJobSpec,
  tokenizer: Tokenizer,
  baseDirectory: string,
  warn: (message: string) => void,
): Promise<JobData> {
  const { data, federation, emulator, evaluation, seed } = spec;
  const sha256: Record<string, string> = {};
  const load = async (role: string, source: DataSource, limit = Infinity): Promise<Example[]> => {
    const { records, sha256: digest } = await loadData(source, baseDirectory);
    sha256[`data.${role}`] = digest;
    return applyTemplate(records.slice(0, limit), source.template, tokenizer);
  };
  const encode = (role: string, examples: readonly Example[], sequenceLength: number) => {
    const encoded = encodeExamples(examples, tokenizer, sequenceLength);
    if (encoded.cutAway > 0) {
      warn(`data.${role}: ${encoded.cutAway} of ${examples.length} records are left out: nothing of their response fits into ${sequenceLength} tokens`);
    }
    if (encoded.truncated > 0) warn(`data.${role}: ${encoded.truncated} records are cut to ${sequenceLength} tokens`);
    return encoded;
  };

  const train = await load('train', data.train);
  const encoded = encode('train', train, federation.local.sequenceLength);
  const { clients, summary } = partitionRecords(encoded.kept.map((index) => train[index]!), data.partition, federation.clients, seed);

  const publicExamples = data.public ? await load('public', data.public) : [];
  const publicSequences = data.public ? encode('public', publicExamples, emulator.alignment.sequenceLength).sequences : [];

  const task = tasks[evaluation.task];
  const limit = evaluation.limit === 0 ? Infinity : evaluation.limit;
  const heldOut = data.eval ? heldOutOf(await load('eval', data.eval, limit), task, tokenizer, (examples) => encode('eval', examples, federation.local.sequenceLength).sequences) : null;
  return {
    clients: clients.map((indices) => indices.map((index) => encoded.sequences[index]!)),
    partition: summary,
    publicSequences,
    heldOut,
    task,
    sha256,
  };
}

/** Examples as an evaluation uses them: all for the loss, and for generation those with a prompt, which the task must be able to score. */
export function heldOutOf(
  examples: readonly Example[],
  task: Task,
  tokenizer: Tokenizer,
  encode: (examples: readonly Example[]) => readonly Sequence[],
): HeldOut {
  const texts = examples.filter((example): example is TextExample => example.kind === 'text');
  if (task.generates) {
    if (texts.length < examples.length) {
      throw new UserError(`${examples[0]!.file}: the task ${task.name} reads text, and tokenized records have none`, {
        hint: 'Evaluate with task loss or tokens, or on records with text.',
      });
    }
    texts.forEach((example) => task.check(example));
  }
  const prompts = task.generates ? texts.map((example) => ({ example, ids: encodePrompt(example, tokenizer) })) : [];
  return { sequences: encode(examples), prompts };
}
