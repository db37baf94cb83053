import { figure } from '../panels.ts';
import { clientTokenRate, ratePerJob } from '../query.ts';
import { JOBS_BY_PHASE, GPUS_BY_STATE } from './queries.ts';

export const atAGlance = [
  figure({
    title: 'Jobs by phase',
    description: 'Jobs that there are now. Those that have ended stay until they are deleted.',
    unit: 'none',
    width: 10,
    height: 4,
    namesBeside: true,
    queries: [{ expr: JOBS_BY_PHASE, legend: '{{phase}}' }],
  }),
  figure({
    title: 'GPUs',
    description: 'Asked: by the pods that unfinished jobs want. Running: of pods that run.',
    unit: 'none',
    width: 6,
    height: 4,
    namesBeside: true,
    queries: [{ expr: GPUS_BY_STATE, legend: '{{state}}' }],
  }),
  figure({
    title: 'Alerts firing',
    description: 'Of the rules that come with FedBiOT, where Prometheus has them.',
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
    title: 'Tokens trained',
    description: 'A second, of all jobs: in alignment and by clients.',
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
