import { figure, graph, table } from '../../panels/panels.ts';
import { ROUNDS_ENDED, ROUND_SECONDS, perJob, perRound } from '../../panels/query.ts';
import { CLIENT, SERVER } from './roles.ts';

export const cost = [
  graph({
    title: 'GPUs in use',
    description:
      'GPU-seconds per second, by role: mean over the rounds that ended in the interval. A value far below the number of GPUs that the job holds means that GPUs are idle.',
    connected: true,
    unit: 'none',
    min: 0,
    width: 6,
    height: 7,
    looks: [SERVER, CLIENT],
    queries: [{ expr: perRound('fedbiot_gpu_seconds_total', 'role', ROUND_SECONDS), legend: '{{job}} {{role}}' }],
  }),
  graph({
    title: 'CPUs in use',
    description: 'CPU-seconds per second, by role: mean over the rounds that ended in the interval.',
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
    description: 'Largest peak of any process of the role since the job began.',
    unit: 'bytes',
    min: 0,
    width: 6,
    height: 7,
    looks: [SERVER, CLIENT],
    queries: [{ expr: perJob('fedbiot_peak_memory_bytes', { by: ['role'] }), legend: '{{job}} {{role}}' }],
  }),
  graph({
    title: 'Traffic per round',
    description:
      'LoRA vectors sent to clients (down) and received from them (up): mean over the rounds that ended in the interval.',
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
    title: 'Cost by role',
    description: 'Resources used by the finished rounds.',
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
    title: 'Total traffic',
    description: 'LoRA vectors sent to clients (down) and received from them (up) since the job began.',
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
    description:
      'Traffic saved compared with sending the full model to the clients. A negative value means that more was sent.',
    unit: 'bytes',
    width: 4,
    height: 6,
    queries: [{ expr: perJob('fedbiot_saved_bytes'), legend: '{{job}}' }],
  }),
  figure({
    title: 'FLOPs saved',
    description:
      'Estimated floating-point operations saved compared with training the full model on the clients. A negative value means that more were needed.',
    unit: 'si:FLOP',
    decimals: 2,
    width: 4,
    height: 6,
    queries: [{ expr: perJob('fedbiot_saved_flops'), legend: '{{job}}' }],
  }),
];
