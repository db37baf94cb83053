import { isAdmitted } from '../objects/workload.ts';
import type { ObservedWorkload } from '../objects/workload.ts';
import type { Observed, ObservedOwned } from '../objects/observed.ts';
import type { ObservedCondition } from '../objects/observed-object.ts';
import type { Outcome } from '../objects/outcome.ts';

/** A condition as the operator writes it to a Workload. */
export type WorkloadCondition = Required<ObservedCondition>;

/** Reasons of evictions after which Kueue queues a Workload at once; it decides itself when others are over. */
const REQUEUED: readonly string[] = ['Preempted', 'NodeFailures'];

/**
 * The status with which an evicted Workload gives its quota back, as Kueue's own integrations write it. Null removes a
 * field.
 */
export function released(workload: ObservedWorkload, evicted: ObservedCondition, now: string): object {
  const { reason = 'Evicted', message = '' } = evicted;
  const made = (type: string, status: boolean, why: string, words: string): WorkloadCondition => ({
    type,
    status: status ? 'True' : 'False',
    reason: why,
    message: words,
    lastTransitionTime: now,
    observedGeneration: workload.metadata.generation ?? 0,
  });
  const changed = [
    made('QuotaReserved', false, 'Pending', message),
    made('Admitted', false, 'NoReservation', 'The workload has no reservation'),
    made('Requeued', REQUEUED.includes(reason), reason, message),
  ];
  const others = (workload.status?.conditions ?? []).filter(({ type }) => changed.every((each) => each.type !== type));
  return { admission: null, conditions: [...others, ...changed] };
}

/**
 * The conditions of a Workload that are the job's to write: whether its pods are ready, by which Kueue judges a start
 * that takes too long, and its end. null: they are as they should be.
 */
export function ownConditions(
  observed: Observed & { readonly workload: ObservedOwned },
  outcome: Outcome | null,
  now: string,
): readonly WorkloadCondition[] | null {
  const { workload } = observed;
  const wanted = outcome === null ? podsReady(observed) : [...known(workload, 'PodsReady'), finished(outcome)];
  const pairs = wanted.map((condition) => ({
    condition,
    existing: workload.status?.conditions?.find(({ type }) => type === condition.type),
  }));
  const isSame = pairs.every(
    ({ condition: { status, reason }, existing }) => existing?.status === status && existing.reason === reason,
  );
  if (isSame) return null;
  // Server-side apply removes what is left out.
  return pairs.map(({ condition, existing }) => {
    const since = existing?.status === condition.status ? existing.lastTransitionTime : undefined;
    return { ...condition, lastTransitionTime: since ?? now, observedGeneration: workload.metadata.generation ?? 0 };
  });
}

type Wanted = Omit<WorkloadCondition, 'lastTransitionTime' | 'observedGeneration'>;

const known = ({ status }: ObservedWorkload, type: string): Wanted[] =>
  (status?.conditions ?? [])
    .filter((condition) => condition.type === type)
    .map(({ reason = '', message = '', ...condition }) => ({ type, status: condition.status, reason, message }));

const finished = ({ phase, message }: Outcome): Wanted => ({
  type: 'Finished',
  status: 'True',
  reason: phase,
  message,
});

/** In Kueue's words. */
function podsReady({ workload, serverJob, clientsJob }: Observed & { readonly workload: ObservedOwned }): Wanted[] {
  const before = workload.status?.conditions?.find(({ type }) => type === 'PodsReady');
  if (!isAdmitted(workload) && before === undefined) return [];
  const wereReady = before?.status === 'True' || before?.reason === 'WaitForRecovery' || before?.reason === 'Recovered';
  if (isAdmitted(workload) && [serverJob, clientsJob].every(allReady)) {
    const again = before?.reason === 'WaitForRecovery' || before?.reason === 'Recovered';
    const message = 'All pods reached readiness and the workload is running';
    return [{ type: 'PodsReady', status: 'True', reason: again ? 'Recovered' : 'Started', message }];
  }
  const recovers = isAdmitted(workload) && wereReady;
  return [
    {
      type: 'PodsReady',
      status: 'False',
      reason: recovers ? 'WaitForRecovery' : 'WaitForStart',
      message: recovers ? 'At least one pod has failed, waiting for recovery' : 'Not all pods are ready or succeeded',
    },
  ];
}

function allReady(job: ObservedOwned | null): boolean {
  const { ready = 0, succeeded = 0 } = job?.status ?? {};
  return job !== null && ready + succeeded >= (job.spec?.parallelism ?? 1);
}
