import { Status } from '../../crds/schema/status.ts';
import Value from 'typebox/value';
import type { FedBiOTJobStatus } from '../../crds/types.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import type { Observed, ObservedJob, ObservedPod } from '../../operator/objects/observed.ts';
import { judge } from '../../operator/status/judge.ts';
import { deriveStatus } from '../../operator/status/status.ts';
import type { JobProgress } from '../../crds/facts/progress.ts';
import { NOTHING } from './planned-job.ts';

const START = Date.parse('2026-01-01T00:00:00Z');

export const at = (seconds: number) => START + seconds * 1000;

export const iso = (seconds: number) => new Date(at(seconds)).toISOString();

export const batchJob = (
  role: 'server' | 'clients',
  status: ObservedJob['status'] = {},
  suspend = false,
): ObservedJob => ({
  metadata: { name: `tiny-${role}`, uid: role },
  spec: { suspend },
  status: { startTime: iso(0), ...status },
});

export const ended = (type: string, reason: string, message = 'in the controller’s words') => ({
  conditions: [{ type, status: 'True', reason, message }],
});

export const pod = (role: 'server' | 'client', status: ObservedPod['status'], created = 0): ObservedPod => ({
  metadata: { name: `tiny-${role}-x`, labels: { 'fedbiot.io/role': role }, creationTimestamp: iso(created) },
  ...(status === undefined ? {} : { status }),
});

type State = NonNullable<NonNullable<NonNullable<ObservedPod['status']>['containerStatuses']>[number]['state']>;

export const worker = (phase: string, state: State): ObservedPod['status'] => ({
  phase,
  containerStatuses: [{ name: 'worker', state }],
});

export const exited = (exitCode: number, message?: string, reason = 'Error', finishedAt = iso(1)) =>
  worker('Failed', { terminated: { exitCode, reason, finishedAt, ...(message === undefined ? {} : { message }) } });

export const RUNNING: ObservedPod['status'] = {
  ...worker('Running', { running: { startedAt: iso(0) } }),
  conditions: [{ type: 'Ready', status: 'True' }],
};

export const UNSCHEDULABLE: ObservedPod['status'] = {
  phase: 'Pending',
  conditions: [
    {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: '0/3 nodes are available: 3 Insufficient nvidia.com/gpu.',
    },
  ],
};

export const world = (parts: Partial<Observed> = {}): Observed => ({
  ...NOTHING,
  serverJob: batchJob('server'),
  clientsJob: batchJob('clients'),
  ...parts,
});

export function look(
  job: JobObject,
  observed: Observed,
  seconds = 1,
  progress: JobProgress | null = null,
): FedBiOTJobStatus {
  const now = at(seconds);
  const status = deriveStatus({
    job,
    observed,
    outcome: judge(job, observed, now).outcome,
    blocked: null,
    isolated: null,
    progress,
    now,
  });
  if (!Value.Check(Status, status)) throw new Error(`not a status: ${JSON.stringify(Value.Errors(Status, status))}`);
  return status;
}

export const condition = ({ conditions = [] }: FedBiOTJobStatus, type: string) =>
  conditions.find((one) => one.type === type);
