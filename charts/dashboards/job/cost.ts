import { figure, graph, table } from '../../panels/panels.ts';
import { ROUNDS_ENDED, ROUND_SECONDS, perJob, perRound } from '../../panels/query.ts';
import { CLIENT, SERVER } from './roles.ts';

export const cost = [
  graph({
    title: 'GPUs at work',
    description:
      'By role, the mean of the rounds that ended in the interval: GPU-seconds over the seconds they took. Far below the GPUs that the job holds, these wait.',
    connected: true,
    unit: 'none',
    min: 0,
    width: 6,
    height: 7,
    looks: [SERVER, CLIENT],
    queries: [{ expr: perRound('fedbiot_gpu_seconds_total', 'role', ROUND_SECONDS), legend: '{{job}} {{role}}' }],
  }),
  graph({
    title: 'CPUs at work',
    description: 'By role, the mean of the rounds that ended in the interval: CPU-seconds over the seconds they took.',
    connected: true,
    unit: 'none',
    min: 0,
    width: 6,
    height: 7,
    looks: [SERVER, CLIENT],
    queries: [{ expr: perRound('fedbiot_cpu_seconds_total', 'role', ROUND_SECONDS), legend: '{{job}} {{role}}' }],
  }),
  graph({
    title: 'Peak memory',
    description: 'The largest among the processes of a role, since the job began.',
    unit: 'bytes',
    min: 0,
    width: 6,
    height: 7,
    looks: [SERVER, CLIENT],
    queries: [{ expr: perJob('fedbiot_peak_memory_bytes', { by: ['role'] }), legend: '{{job}} {{role}}' }],
  }),
  graph({
    title: 'Bytes of a round',
    description: 'LoRA vectors down to clients and up from them, the mean of the rounds that ended in the interval.',
    unit: 'bytes',
    connected: true,
    min: 0,
    width: 6,
    height: 7,
    looks: [
      { name: /down/, color: 'blue' },
      { name: /up/, color: 'orange' },
    ],
    queries: [
      { expr: perRound('fedbiot_delta_bytes_total', 'direction', ROUNDS_ENDED), legend: '{{job}} {{direction}}' },
    ],
  }),
  table({
    title: 'Cost so far, by role',
    description: 'Of the rounds that are finished.',
    width: 12,
    height: 6,
    labels: { namespace: 'Namespace', job: 'Job', role: 'Role' },
    sortBy: 'Job',
    queries: [
      { expr: perJob('fedbiot_cpu_seconds_total', { by: ['role'] }), legend: '' },
      { expr: perJob('fedbiot_gpu_seconds_total', { by: ['role'] }), legend: '' },
      { expr: perJob('fedbiot_trained_tokens_total', { by: ['role'] }), legend: '' },
      { expr: perJob('fedbiot_peak_memory_bytes', { by: ['role'] }), legend: '' },
    ],
    columns: [
      { name: 'CPU time', unit: 's' },
      { name: 'GPU time', unit: 's' },
      { name: 'Tokens', unit: 'short' },
      { name: 'Peak memory', unit: 'bytes' },
    ],
  }),
  figure({
    title: 'Bytes in all',
    description: 'LoRA vectors since the job began, down to clients and up from them.',
    unit: 'bytes',
    width: 4,
    height: 6,
    queries: [
      { expr: perJob('fedbiot_delta_bytes_total', { where: 'direction="down"' }), legend: '{{job}} down' },
      { expr: perJob('fedbiot_delta_bytes_total', { where: 'direction="up"' }), legend: '{{job}} up' },
    ],
  }),
  figure({
    title: 'Bytes saved',
    description: 'Against sending the full model to the clients, less what was sent instead. Below 0 it was more.',
    unit: 'bytes',
    width: 4,
    height: 6,
    queries: [{ expr: perJob('fedbiot_saved_bytes'), legend: '{{job}}' }],
  }),
  figure({
    title: 'Computing saved',
    description:
      'Floating-point operations, by formula, against training the full model on the clients. Below 0 it was more.',
    unit: 'si:FLOP',
    decimals: 2,
    width: 4,
    height: 6,
    queries: [{ expr: perJob('fedbiot_saved_flops'), legend: '{{job}}' }],
  }),
];
