// A job in a queue of Kueue, its Workload in each state, and what is planned for it.
import { plannedObjects } from '../../operator/plan/build.ts';
import { plan } from '../../operator/plan/plan.ts';
import type { Action } from '../../operator/plan/action.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import type { Observed, ObservedOwned } from '../../operator/objects/observed.ts';
import type { Outcome } from '../../operator/objects/outcome.ts';
import { batchJob, iso, pod, RUNNING } from './observed-job.ts';
import { accessOf, jobObject, NOTHING, SETTINGS } from './planned-job.ts';

export const QUEUE = 'kueue.x-k8s.io/queue-name';
export const PRIORITY = 'kueue.x-k8s.io/priority-class';

export const queued = (spec: object = {}, labels: Record<string, string> = {}, status?: JobObject['status']) =>
  jobObject(spec, { labels: { [QUEUE]: 'gpus', ...labels }, ...(status === undefined ? {} : { status }) });

export const KUEUE: Observed['kueue'] = { isServed: true, flavors: new Map(), priority: null };

export type Told = readonly [type: string, status: boolean, reason?: string, message?: string];

export const RESERVED: Told = ['QuotaReserved', true, 'QuotaReserved', 'Quota reserved in ClusterQueue a'];
export const ADMITTED: readonly Told[] = [RESERVED, ['Admitted', true, 'Admitted', 'The workload is admitted']];
export const PREEMPTED: readonly Told[] = [
  ...ADMITTED,
  ['Evicted', true, 'Preempted', 'Preempted to accommodate another'],
];
export const WAITS: readonly Told[] = [['QuotaReserved', false, 'Pending', 'insufficient unused quota for cpu']];

export const workload = (told: readonly Told[], parts: Pick<ObservedOwned, 'spec'> & object = {}, admission?: object) =>
  ({
    metadata: { name: 'fedbiotjob-tiny', uid: 'w', resourceVersion: '7', generation: 3 },
    spec: { queueName: 'gpus' },
    status: {
      conditions: told.map(([type, status, reason = type, message = '']) => ({
        type,
        status: status ? 'True' : 'False',
        reason,
        message,
        lastTransitionTime: iso(100),
      })),
      ...(admission === undefined ? {} : { admission: { clusterQueue: 'a', podSetAssignments: [], ...admission } }),
    },
    ...parts,
  }) satisfies ObservedOwned;

export const RUNS = { serverJob: batchJob('server'), clientsJob: batchJob('clients'), pods: [pod('server', RUNNING)] };

export const seen = (parts: Partial<Observed>): Observed => ({ ...NOTHING, kueue: KUEUE, ...parts });

export function actions(job: JobObject, observed: Observed, outcome: Outcome | null = null): readonly Action[] {
  const podsRun = observed.pods.length > 0;
  const common = { clientsMayFinish: false, toReplace: [], podsRun, now: iso(200) };
  return plan({ job, observed, settings: SETTINGS, redis: accessOf(job, observed), outcome, ...common });
}

/** Writes about Kueue and Jobs, in short. */
export const writes = (job: JobObject, observed: Observed, outcome: Outcome | null = null) =>
  actions(job, observed, outcome).flatMap((action) => {
    switch (action.kind) {
      case 'create':
        return /Job|Workload/.test(action.object.kind) ? [`create ${action.object.metadata.name}`] : [];
      case 'delete':
        return [`delete ${action.object.name}`];
      case 'suspend':
        return [`suspend ${action.job.name}`];
      case 'requeue':
        return [`requeue ${JSON.stringify(action.spec)}`];
      case 'release':
        return ['release'];
      case 'report':
        return action.conditions.map(({ type, reason }) => `${type}=${reason}`);
      default:
        return [];
    }
  });

export const built = (job: JobObject, observed: Observed) =>
  plannedObjects({ job, observed, settings: SETTINGS, redis: accessOf(job, observed) });
