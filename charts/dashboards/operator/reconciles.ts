import { graph } from '../../panels/panels.ts';
import { perOperator } from '../../panels/query.ts';
import { CONTROLLER, rate, PERCENTILES, percentilesOf } from './queries.ts';

export const reconciles = [
  graph({
    title: 'Reconciles by result',
    description: 'Reconciles per second, across replicas; only the leader reconciles.',
    unit: 'ops',
    min: 0,
    width: 8,
    height: 8,
    stacked: true,
    looks: [
      { name: /^success/, color: 'green' },
      { name: /error/, color: 'red' },
      { name: /requeue_after/, color: 'blue' },
    ],
    queries: [
      { expr: `sum by (result) (${rate('controller_runtime_reconcile_total', CONTROLLER)})`, legend: '{{result}}' },
    ],
  }),
  graph({
    title: 'Reconcile duration',
    description: 'Percentiles. Most of the time is the latency of the API server.',
    unit: 's',
    min: 0,
    width: 8,
    height: 8,
    looks: PERCENTILES,
    queries: percentilesOf('controller_runtime_reconcile_time_seconds_bucket', CONTROLLER),
  }),
  graph({
    title: 'Reconciles in progress',
    description:
      'Reconciles in progress and their maximum (value workers). While they stay at the maximum, jobs wait in the queue.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    looks: [{ name: /maximum/, color: 'gray', dashed: true }],
    queries: [
      { expr: `sum(${perOperator('controller_runtime_active_workers', CONTROLLER)})`, legend: 'in progress' },
      { expr: `max(${perOperator('controller_runtime_max_concurrent_reconciles', CONTROLLER)})`, legend: 'maximum' },
    ],
  }),
];
