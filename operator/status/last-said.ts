import type { JobObject } from '../objects/job-object.ts';
import { QUIET } from './events.ts';

/** The last known reason why the job did not run; null: it ran, or was starting. */
export function lastSaid({ status }: JobObject): string | null {
  const running = status?.conditions?.find(({ type }) => type === 'Running');
  return running?.status === 'False' && !QUIET.has(running.reason) ? running.message : null;
}
