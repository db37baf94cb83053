import { EXIT } from '../../crds/facts/exit-codes.ts';
import type { Role } from '../../crds/facts/role.ts';
import type { Observed, ObservedJob, ObservedPod, ObservedWarning } from '../objects/observed.ts';
import { lostPod } from './lost-pod.ts';
import { endOf } from './failure.ts';
import { hasStarted, instant, isRunning, podsOf, workerStatus } from './observed-job.ts';
import type { Standing } from '../objects/outcome.ts';
import { reported, waitingReason } from './waiting.ts';

type Warnings = NonNullable<Observed['warnings']>;

/** Why a role's pods do not work; null: no reason is known. */
export function troubleOf(
  role: Role,
  { pods, serverJob, clientsJob, warnings = new Map() }: Observed,
  now: number,
): Standing | null {
  const ofRole = podsOf(pods, role);
  const [lost] = ofRole.flatMap((pod) => lostPod(pod, now) ?? []);
  return (
    lost ??
    waitingReason(ofRole, now) ??
    warned(ofRole, warnings) ??
    notMade(role === 'server' ? serverJob : clientsJob, ofRole, warnings) ??
    unavailable(ofRole)
  );
}

/**
 * Pods that ended because something that all of them need is unavailable, and that are retried. Retries of clients are
 * not limited, so nothing else would report them.
 */
function unavailable(pods: readonly ObservedPod[]): Standing | null {
  if (pods.some(isRunning)) return null;
  const ended = pods.findLast((pod) => workerStatus(pod)?.state?.terminated?.exitCode === EXIT.unavailable);
  const end = ended === undefined ? null : endOf(ended);
  return ended === undefined || end === null ? null : reported(ended.metadata.name, end.reason, end.message);
}

/** Warnings about a pod that its status does not show, such as a volume that cannot be mounted. */
function warned(pods: readonly ObservedPod[], warnings: Warnings): Standing | null {
  for (const pod of pods.filter((each) => !hasStarted(each))) {
    const warning = warningOf(pod, warnings);
    if (warning !== null) return reported(pod.metadata.name, warning.reason, warning.message);
  }
  return null;
}

/** Pods that the Job controller may not create, because of a quota, a limit, an admission policy or a webhook. */
function notMade(owner: ObservedJob | null, pods: readonly ObservedPod[], warnings: Warnings): Standing | null {
  const warning = owner === null ? null : warningOf(owner, warnings);
  if (owner === null || warning?.reason !== 'FailedCreate') return null;
  // A pod created since then shows that the obstacle is gone; the Job may also have been suspended since.
  const at = instant(warning.at) ?? 0;
  const isPast =
    at < (instant(owner.status?.startTime) ?? 0) ||
    pods.some(({ metadata }) => (instant(metadata.creationTimestamp) ?? 0) > at);
  return isPast ? null : reported(owner.metadata.name, warning.reason, warning.message);
}

const warningOf = ({ metadata }: ObservedPod | ObservedJob, warnings: Warnings): ObservedWarning | null =>
  metadata.uid === undefined ? null : (warnings.get(metadata.uid) ?? null);
