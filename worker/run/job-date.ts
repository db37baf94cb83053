import { join } from 'node:path';
import type { FedBiOTJob, FedBiOTJobSpec } from '../../crds/types.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { newestCheckpoint } from '../federation/checkpoint.ts';
import { dateInCheckpoint } from '../federation/snapshot.ts';
import { manifestOf } from './run-directory.ts';
import { dayOf } from '../../crds/day.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

type Dated = Pick<Tokenizer, 'chatTemplateReadsDate'>;

/** The date that a chat template writes into a job's data; null if no template uses it, or the job has none. */
export function dateRead({ data }: Pick<FedBiOTJobSpec, 'data'>, tokenizer: Dated): string | null {
  const isChat = [data.train, data.public, data.eval].some((source) => source?.template === 'Chat');
  return isChat && tokenizer.chatTemplateReadsDate ? (data.date ?? null) : null;
}

/**
 * The job with its date: the manifest's, or that of the resumed run in `out`, or today.
 * @param warn receives a message if the manifest sets a date that no template uses
 * @throws UserError if the resumed run did not store its date
 */
export async function resolveJobDate(
  job: FedBiOTJob,
  tokenizer: Dated,
  {
    out,
    resume,
    today = dayOf(new Date()),
    warn,
  }: { out: string; resume: boolean; today?: string; warn: (message: string) => void },
): Promise<FedBiOTJob> {
  const { spec } = job;
  const dated = (date: string): FedBiOTJob => ({ ...job, spec: { ...spec, data: { ...spec.data, date } } });
  const { date: requested } = spec.data;
  if (dateRead(dated(today).spec, tokenizer) === null) {
    if (requested !== undefined) warn('data.date is not used: no chat template of this job uses the date');
    return job;
  }
  return requested === undefined ? dated((resume ? await dateOfRun(out) : null) ?? today) : job;
}

/** The date in the data of an earlier run; null if there is none. */
async function dateOfRun(root: string): Promise<string | null> {
  const newest = await newestCheckpoint(join(root, 'checkpoints'));
  if (newest === null) return manifestOf(join(root, 'manifest.json'))?.date ?? null;
  const date = dateInCheckpoint(newest.files);
  if (date !== null) return date;
  throw new UserError(
    `the run in ${root} was begun by a version of fedbiot that did not store the date that its chat template writes into the data`,
    {
      hint: 'It cannot continue with the same data: start again in another --out folder.',
    },
  );
}
