import type { JobObject } from '../reconcile/ports.ts';
import { QUIET } from './events.ts';

/** Why the job did not run when it was last looked at, in words; null: it did, or was just about to. */
export function lastSaid({ status }: JobObject): string | null {
  const running = status?.conditions?.find(({ type }) => type === 'Running');
  return running?.status === 'False' && !QUIET.has(running.reason) ? running.message : null;
}
