import { figure } from '../../panels/panels.ts';
import { perOperator } from '../../panels/query.ts';
import { CONTROLLER, QUEUE, LEASE, rate, REPLICA, redisUsed } from './queries.ts';

const ratio = (part: string, whole: string) => `sum(${part}) / sum(${whole})`;

export const atAGlance = [
  figure({
    title: 'Leader',
    description:
      'The replica that reconciles. Exactly one leads; while none does, running jobs continue and new jobs wait.',
    unit: 'none',
    width: 6,
    height: 4,
    names: true,
    queries: [{ expr: `${perOperator('leader_election_master_status', LEASE)} == 1`, legend: REPLICA }],
  }),
  figure({
    title: 'Replicas',
    description: 'Replicas that Prometheus scrapes.',
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
    description: 'Share of reconciles that ended in an error. They are retried with exponential backoff.',
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
    description: 'Jobs that wait for a reconcile.',
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
    title: 'Connected to Redis',
    description:
      '1 while all replicas are connected to the operator’s Redis. Without it training continues, and the status of jobs becomes stale.',
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
    description: 'Memory used. The panel below also shows the limit, if there is one.',
    unit: 'bytes',
    width: 4,
    height: 4,
    history: true,
    queries: [{ expr: `max(${redisUsed})`, legend: '' }],
  }),
];
