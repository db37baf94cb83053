import { table } from '../../panels/panels.ts';
import { perJob } from '../../panels/query.ts';

export const cost = [
  table({
    title: 'Cost and savings by namespace',
    description:
      'For existing jobs: resources used, traffic between server and clients, and savings compared with sending and training the full model.',
    width: 24,
    height: 7,
    labels: { namespace: 'Namespace' },
    sortBy: 'Namespace',
    queries: [
      { expr: `sum by (namespace) (${perJob('fedbiot_gpu_seconds_total', { by: ['role'] })})`, legend: '' },
      { expr: `sum by (namespace) (${perJob('fedbiot_cpu_seconds_total', { by: ['role'] })})`, legend: '' },
      { expr: `sum by (namespace) (${perJob('fedbiot_trained_tokens_total', { by: ['role'] })})`, legend: '' },
      { expr: `sum by (namespace) (${perJob('fedbiot_delta_bytes_total', { by: ['direction'] })})`, legend: '' },
      { expr: `sum by (namespace) (${perJob('fedbiot_saved_bytes')})`, legend: '' },
      { expr: `sum by (namespace) (${perJob('fedbiot_saved_flops')})`, legend: '' },
    ],
    columns: [
      { name: 'GPU time', unit: 's' },
      { name: 'CPU time', unit: 's' },
      { name: 'Tokens', unit: 'short' },
      { name: 'Traffic', unit: 'bytes' },
      { name: 'Bytes saved', unit: 'bytes' },
      { name: 'FLOPs saved', unit: 'si:FLOP', decimals: 2 },
    ],
  }),
];
