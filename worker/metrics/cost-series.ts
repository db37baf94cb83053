import type { RoleCost, RunCost } from '../../crds/facts/cost.ts';
import { NOTHING } from '../cost/role-cost.ts';
import type { JobStanding } from './job-series.ts';
import { one } from './series.ts';
import type { Sample, Series } from './series.ts';

/** What a job has cost so far, of its finished rounds; nothing of one that has rounds whose cost was not measured. */
export const COST_SERIES: readonly Series<JobStanding>[] = [
  {
    name: 'fedbiot_cpu_seconds_total',
    help: "Processor time that a role's processes have used, in finished rounds.",
    kind: 'counter',
    labels: ['role'],
    samples: (job) => summed(job, ({ cpuSeconds }) => cpuSeconds),
  },
  {
    name: 'fedbiot_gpu_seconds_total',
    help: "Time of a role's computations on GPUs, times GPUs, in finished rounds; 0 where it computes on processors.",
    kind: 'counter',
    labels: ['role'],
    samples: (job) => summed(job, ({ gpuSeconds }) => gpuSeconds),
  },
  {
    name: 'fedbiot_peak_memory_bytes',
    help: "The largest peak of memory among a role's processes; none before the first round has ended.",
    kind: 'gauge',
    labels: ['role'],
    samples: ({ cost }) => byRole(cost, ({ peakMemoryBytes }) => peakMemoryBytes),
  },
  {
    name: 'fedbiot_saved_bytes',
    help: 'Bytes less between server and clients than with the full model sent to the clients; below 0: more. None before the first round has ended.',
    kind: 'gauge',
    labels: [],
    samples: ({ cost }) => (cost === null ? [] : one(cost.savings.bytes.saved)),
  },
  {
    name: 'fedbiot_saved_flops',
    help: 'Floating-point operations less, by formula, than with the full model trained on the clients; below 0: more. None before the first round has ended.',
    kind: 'gauge',
    labels: [],
    samples: ({ cost }) => (cost === null ? [] : one(cost.savings.flops.saved)),
  },
];

/** Before the first round has ended, nothing has been counted. */
const summed = ({ cost, finishedRounds }: JobStanding, amount: (cost: RoleCost) => number): Sample[] =>
  byRole(finishedRounds === 0 ? { server: NOTHING, clients: NOTHING } : cost, amount);

function byRole(cost: Pick<RunCost, 'server' | 'clients'> | null, amount: (cost: RoleCost) => number): Sample[] {
  if (cost === null) return [];
  return [
    { labels: { role: 'server' }, value: amount(cost.server) },
    { labels: { role: 'client' }, value: amount(cost.clients) },
  ];
}
