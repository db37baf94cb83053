import { join } from 'node:path';
import type { FedBiOTJob, FedBiOTJobSpec } from '../../crds/types.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { newestCheckpoint } from '../federation/checkpoint.ts';
import { dateInCheckpoint } from '../federation/snapshot.ts';
import { manifestOf } from './run-directory.ts';
import { dayOf } from '../../crds/day.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

type Dated = Pick<Tokenizer, 'chatTemplateReadsDate'>;

/** The day that a chat template writes into a job's data; null where none asks for it, or the job does not say. */
export function dateRead({ data }: Pick<FedBiOTJobSpec, 'data'>, tokenizer: Dated): string | null {
  const isChat = [data.train, data.public, data.eval].some((source) => source?.template === 'Chat');
  return isChat && tokenizer.chatTemplateReadsDate ? (data.date ?? null) : null;
}

/**
 * The job with its day: the manifest's, else that of the run in `out` that is gone on with, else today.
 * @param warn is called if the manifest sets a day that nothing asks for
 * @throws UserError for a run whose day was not kept
 */
export async function datedJob(
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
  const { date: asked } = spec.data;
  if (dateRead(dated(today).spec, tokenizer) === null) {
    if (asked !== undefined) warn('data.date is not used: no chat template of this job asks for the day');
    return job;
  }
  return asked === undefined ? dated((resume ? await dateOfRun(out) : null) ?? today) : job;
}

/** The day that an earlier run's data has; null where there is none. */
async function dateOfRun(root: string): Promise<string | null> {
  const newest = await newestCheckpoint(join(root, 'checkpoints'));
  if (newest === null) return manifestOf(join(root, 'manifest.json'))?.date ?? null;
  const date = dateInCheckpoint(newest.files);
  if (date !== null) return date;
  throw new UserError(
    `the run in ${root} was begun by a version of fedbiot that did not keep the day which its chat template writes into the data`,
    {
      hint: 'It cannot go on with the same data: begin again in another --out folder.',
    },
  );
}
