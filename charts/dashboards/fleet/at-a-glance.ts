import { figure } from '../../panels/panels.ts';
import { clientTokenRate, ratePerJob } from '../../panels/query.ts';
import { JOBS_BY_PHASE, GPUS_BY_STATE } from './queries.ts';

export const atAGlance = [
  figure({
    title: 'Jobs by phase',
    description: 'Existing jobs. A job that has ended is counted until it is deleted.',
    unit: 'none',
    width: 10,
    height: 4,
    namesBeside: true,
    queries: [{ expr: JOBS_BY_PHASE, legend: '{{phase}}' }],
  }),
  figure({
    title: 'GPUs',
    description: 'Asked: requested by the pods of unfinished jobs. Running: held by running pods.',
    unit: 'none',
    width: 6,
    height: 4,
    namesBeside: true,
    queries: [{ expr: GPUS_BY_STATE, legend: '{{state}}' }],
  }),
  figure({
    title: 'Alerts firing',
    description: 'Firing alerts of the rules in the chart, if Prometheus has loaded them.',
    unit: 'none',
    width: 4,
    height: 4,
    steps: [
      { value: null, color: 'green' },
      { value: 1, color: 'red' },
    ],
    queries: [{ expr: 'count(ALERTS{alertname=~"FedBiOT.+", alertstate="firing"}) or vector(0)', legend: '' }],
  }),
  figure({
    title: 'Training throughput',
    description: 'Tokens per second, across jobs: alignment on the server and training on clients.',
    unit: 'short',
    width: 4,
    height: 4,
    history: true,
    queries: [
      {
        expr: `sum(${ratePerJob('fedbiot_trained_tokens_total', { where: 'role="server"' })}) + sum(${clientTokenRate()})`,
        legend: 'tokens/s',
      },
    ],
  }),
];
