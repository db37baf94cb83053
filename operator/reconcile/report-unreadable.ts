import { shortened, withAspects } from '../status/conditions.ts';
import type { Aspect } from '../status/conditions.ts';
import { health } from '../status/readiness.ts';
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
  const why = { reason: REASON, message };
  const aspects: readonly Aspect[] = [
    { type: 'Valid', holds: false, ...why },
    ...(hasEnded ? [] : health('stalled', why)),
  ];
  const patch = {
    ...(hasEnded ? {} : { phase: status.phase ?? 'Pending', message }),
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
    conditions: withAspects(status.conditions ?? [], aspects, secondsOf(ports.now()), metadata.generation),
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
    ({ type, status, message, observedGeneration }) =>
      type === 'Valid' &&
      status === 'False' &&
      message === messageOf(job) &&
      observedGeneration === job.metadata.generation,
  ) ?? false;
