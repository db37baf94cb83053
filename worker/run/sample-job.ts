import type { DataSource, FedBiOTJobSpec } from '../../crds/types.ts';
import { dayOf } from '../../crds/day.ts';
import { encodeExamples, encodePrompt } from '../data/sequence.ts';
import type { LoadedData } from '../data/source.ts';
import { applyTemplate } from '../data/template.ts';
import type { Example, TextExample } from '../data/example.ts';
import type { JobSample } from '../estimate/job-sample.ts';
import { tasks } from '../tasks/registry.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** Records of each file whose lengths stand for those of all. */
const SAMPLED = 64;

/** The records of a job's files. A file that the job does not have is null. */
export interface JobRecords {
  readonly train: LoadedData;
  readonly public: LoadedData | null;
  readonly eval: LoadedData | null;
}

/**
 * Encodes some of a job's records, spread evenly over its files, as the run will encode all.
 * @throws UserError if one of them cannot be encoded, or none has a response within the sequence length
 */
export function sampleJob(spec: FedBiOTJobSpec, records: JobRecords, tokenizer: Tokenizer): JobSample {
  const { data, federation, emulator, evaluation } = spec;
  const examples = (source: DataSource, loaded: LoadedData['records']): Example[] =>
    applyTemplate(spread(loaded), source.template, tokenizer, { date: data.date ?? dayOf(new Date()) });
  const encoded = (from: readonly Example[], length: number) =>
    from.length === 0 ? [] : encodeExamples(from, tokenizer, length).sequences;
  const aligned = data.public && records.public ? examples(data.public, records.public.records) : [];
  const limit = evaluation.limit === 0 ? Infinity : evaluation.limit;
  const evaluated = records.eval?.records.slice(0, limit) ?? [];
  const heldOut = data.eval ? examples(data.eval, evaluated) : [];
  const texts = heldOut.filter((example): example is TextExample => example.kind === 'text');
  return {
    public: encoded(aligned, emulator.alignment.sequenceLength),
    train: encoded(examples(data.train, records.train.records), federation.local.sequenceLength),
    heldOut: encoded(heldOut, federation.local.sequenceLength),
    prompts: tasks[evaluation.task].generates ? texts.map((example) => encodePrompt(example, tokenizer)) : [],
    records: { public: records.public?.records.length ?? 0, heldOut: evaluated.length },
  };
}

function spread<T>(items: readonly T[]): T[] {
  const count = Math.min(SAMPLED, items.length);
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);
}
