import { figure } from '../panels.ts';
import { perOperator } from '../query.ts';
import { CONTROLLER, QUEUE, LEASE, rate, REPLICA, redisUsed } from './queries.ts';

const ratio = (part: string, whole: string) => `sum(${part}) / sum(${whole})`;

export const atAGlance = [
  figure({
    title: 'Leader',
    description:
      'The replica that reconciles. Exactly one leads; while none does, jobs that run go on and new ones wait.',
    unit: 'none',
    width: 6,
    height: 4,
    names: true,
    queries: [{ expr: `${perOperator('leader_election_master_status', LEASE)} == 1`, legend: REPLICA }],
  }),
  figure({
    title: 'Replicas',
    description: 'Replicas whose metrics Prometheus has.',
    unit: 'none',
    width: 3,
    height: 4,
    steps: [
      { value: null, color: 'red' },
      { value: 1, color: 'yellow' },
      { value: 2, color: 'green' },
    ],
    queries: [
      { expr: `count(${perOperator('controller_runtime_max_concurrent_reconciles', CONTROLLER)})`, legend: '' },
    ],
  }),
  figure({
    title: 'Errors',
    description: 'Part of the reconciles that ended in an error. They are tried again, ever later.',
    unit: 'percentunit',
    decimals: 1,
    width: 4,
    height: 4,
    history: true,
    steps: [
      { value: null, color: 'green' },
      { value: 0.01, color: 'yellow' },
      { value: 0.1, color: 'red' },
    ],
    queries: [
      {
        expr: ratio(
          rate('controller_runtime_reconcile_errors_total', CONTROLLER),
          rate('controller_runtime_reconcile_total', CONTROLLER),
        ),
        legend: '',
      },
    ],
  }),
  figure({
    title: 'Work queue',
    description: 'Jobs that wait to be looked at.',
    unit: 'none',
    width: 3,
    height: 4,
    history: true,
    steps: [
      { value: null, color: 'green' },
      { value: 10, color: 'yellow' },
      { value: 100, color: 'red' },
    ],
    queries: [{ expr: `sum(${perOperator('workqueue_depth', QUEUE)})`, legend: '' }],
  }),
  figure({
    title: 'Hears of progress',
    description:
      '1 while the replicas hear of progress from the operator’s own Redis. Without it training goes on, and the status of jobs grows old.',
    unit: 'none',
    width: 4,
    height: 4,
    steps: [
      { value: null, color: 'red' },
      { value: 1, color: 'green' },
    ],
    queries: [{ expr: `min(${perOperator('fedbiot_operator_redis_connected')})`, legend: '' }],
  }),
  figure({
    title: 'Memory of Redis',
    description: 'Used. Where Redis has a limit, the panel below shows it as well.',
    unit: 'bytes',
    width: 4,
    height: 4,
    history: true,
    queries: [{ expr: `max(${redisUsed})`, legend: '' }],
  }),
];
