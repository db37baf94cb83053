import { graph } from '../../panels/panels.ts';
import { perOperator } from '../../panels/query.ts';
import { QUEUE, rate, REPLICA, PERCENTILES, percentilesOf } from './queries.ts';

export const workQueue = [
  graph({
    title: 'Jobs in the work queue',
    description:
      'Jobs that wait for a reconcile. The queue fills when the operator starts and should drain within seconds.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    queries: [{ expr: perOperator('workqueue_depth', QUEUE), legend: REPLICA }],
  }),
  graph({
    title: 'Time in the queue',
    description: 'Percentiles of the time that a job waited for its reconcile.',
    unit: 's',
    min: 0,
    width: 8,
    height: 8,
    looks: PERCENTILES,
    queries: percentilesOf('workqueue_queue_duration_seconds_bucket', QUEUE),
  }),
  graph({
    title: 'Added and retried',
    description: 'Jobs per second: added after a change, and retried after an error.',
    unit: 'ops',
    min: 0,
    width: 8,
    height: 8,
    looks: [{ name: /retried/, color: 'red' }],
    queries: [
      { expr: `sum(${rate('workqueue_adds_total', QUEUE)})`, legend: 'added' },
      { expr: `sum(${rate('workqueue_retries_total', QUEUE)})`, legend: 'retried' },
    ],
  }),
];
