import type { RoleCost, RunCost } from '../../crds/facts/cost.ts';
import { NO_COST } from '../cost/run-cost.ts';
import type { JobStanding } from './job-series.ts';
import { one } from './series.ts';
import type { Sample, Series } from './series.ts';

/** Cost of a job's finished rounds; no samples if the cost of one of them was not measured. */
export const COST_SERIES: readonly Series<JobStanding>[] = [
  {
    name: 'fedbiot_cpu_seconds_total',
    help: "CPU time of a role's processes in finished rounds.",
    kind: 'counter',
    labels: ['role'],
    samples: (job) => summed(job, ({ cpuSeconds }) => cpuSeconds),
  },
  {
    name: 'fedbiot_gpu_seconds_total',
    help: 'GPU time of a role in finished rounds: duration of computations times number of GPUs; 0 on CPUs.',
    kind: 'counter',
    labels: ['role'],
    samples: (job) => summed(job, ({ gpuSeconds }) => gpuSeconds),
  },
  {
    name: 'fedbiot_peak_memory_bytes',
    help: "Largest peak resident memory of a role's processes; absent before the first round has ended.",
    kind: 'gauge',
    labels: ['role'],
    samples: ({ cost }) => byRole(cost, ({ peakMemoryBytes }) => peakMemoryBytes),
  },
  {
    name: 'fedbiot_saved_bytes',
    help: 'Bytes saved between server and clients compared with sending the full model to the clients; negative: more bytes. Absent before the first round has ended.',
    kind: 'gauge',
    labels: [],
    samples: ({ cost }) => (cost === null ? [] : one(cost.savings.bytes.saved)),
  },
  {
    name: 'fedbiot_saved_flops',
    help: 'Floating-point operations saved, by formula, compared with training the full model on the clients; negative: more. Absent before the first round has ended.',
    kind: 'gauge',
    labels: [],
    samples: ({ cost }) => (cost === null ? [] : one(cost.savings.flops.saved)),
  },
];

/** Counters are 0 before the first round has ended. */
const summed = ({ cost, finishedRounds }: JobStanding, amount: (cost: RoleCost) => number): Sample[] =>
  byRole(finishedRounds === 0 ? { server: NO_COST, clients: NO_COST } : cost, amount);

function byRole(cost: Pick<RunCost, 'server' | 'clients'> | null, amount: (cost: RoleCost) => number): Sample[] {
  if (cost === null) return [];
  return [
    { labels: { role: 'server' }, value: amount(cost.server) },
    { labels: { role: 'client' }, value: amount(cost.clients) },
  ];
}
