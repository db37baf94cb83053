import { shortened, withAspects } from '../status/conditions.ts';
import { secondsOf } from '../status/status.ts';
import type { ReconcilePorts } from '../ports/reconcile-ports.ts';
import type { UnreadableJob } from '../objects/job-object.ts';
import { refusalOf } from './refusal.ts';

/** Reports in status and events why a job cannot be read. The job and its objects are not changed. */
export async function reportUnreadable(ports: ReconcilePorts, namespace: string, name: string): Promise<void> {
  const job = ports.unreadableJob(namespace, name);
  if (job === null || !job.isOurs || job.metadata.deletionTimestamp !== undefined || isReported(job)) return;
  const { metadata, status } = job;
  const message = messageOf(job);
  const hasEnded = status.phase === 'Succeeded' || status.phase === 'Failed';
  const aspect = { type: 'Valid', holds: false, reason: REASON, message } as const;
  const patch = {
    ...(hasEnded ? {} : { phase: status.phase ?? 'Pending', message }),
    conditions: withAspects(status.conditions ?? [], [aspect], secondsOf(ports.now()), metadata.generation),
  };
  try {
    await ports.patchStatus(metadata, patch);
  } catch (error) {
    // If the API server also finds the job invalid, it accepts no status, and only the event is written.
    if (refusalOf(error)?.isInvalid !== true) throw error;
  }
  ports.recordEvent({ metadata }, { type: 'Warning', reason: REASON, message });
}

const REASON = 'Unreadable';

const messageOf = ({ problem }: UnreadableJob): string => shortened(`The operator ignores the job: ${problem}`);

const isReported = (job: UnreadableJob): boolean =>
  job.status.conditions?.some(
    ({ type, status, message }) => type === 'Valid' && status === 'False' && message === messageOf(job),
  ) ?? false;
