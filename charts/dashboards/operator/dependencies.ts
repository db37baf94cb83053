import { graph } from '../../panels/panels.ts';
import { perOperator } from '../../panels/query.ts';
import { LEASE, rateOfAny, REPLICA, redisUsed } from './queries.ts';

const redisMax = perOperator('fedbiot_operator_redis_memory_max_bytes');

export const dependencies = [
  graph({
    title: 'Requests to the API server by status code',
    description:
      'Requests per second. 409: a conflicting write, which is retried; 403: a missing permission; <error>: no response.',
    unit: 'reqps',
    min: 0,
    width: 8,
    height: 8,
    stacked: true,
    queries: [{ expr: `sum by (code) (${rateOfAny('rest_client_requests_total')})`, legend: '{{code}}' }],
  }),
  graph({
    title: 'Requests to the API server by method',
    description: 'Requests per second. Writes follow changes of jobs; without changes, only leases and watches remain.',
    unit: 'reqps',
    min: 0,
    width: 8,
    height: 8,
    stacked: true,
    queries: [{ expr: `sum by (method) (${rateOfAny('rest_client_requests_total')})`, legend: '{{method}}' }],
  }),
  graph({
    title: 'Watch restarts',
    description:
      'Restarts after an error, by resource, since the replica started. Causes: the API server is unavailable, or a permission is missing.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    queries: [
      { expr: `sum by (resource) (${perOperator('fedbiot_operator_watch_restarts_total')})`, legend: '{{resource}}' },
    ],
  }),
  graph({
    title: 'Leadership',
    description: '1 for the leader. A step is a handover.',
    unit: 'none',
    decimals: 0,
    min: 0,
    max: 1,
    width: 6,
    height: 8,
    queries: [{ expr: perOperator('leader_election_master_status', LEASE), legend: REPLICA }],
  }),
  graph({
    title: 'Memory of Redis',
    description:
      'Memory used, and the limit (maxmemory; 0: no limit). When Redis is full, jobs wait, and fail if it stays full.',
    unit: 'bytes',
    min: 0,
    width: 6,
    height: 8,
    looks: [{ name: /limit/, color: 'red', dashed: true }],
    queries: [
      { expr: `max(${redisUsed})`, legend: 'used' },
      { expr: `max(${redisMax})`, legend: 'limit' },
    ],
  }),
  graph({
    title: 'Connected to Redis',
    description: '1 while the replica is connected to the operator’s Redis.',
    unit: 'none',
    decimals: 0,
    min: 0,
    max: 1,
    width: 6,
    height: 8,
    queries: [{ expr: perOperator('fedbiot_operator_redis_connected'), legend: REPLICA }],
  }),
  graph({
    title: 'Unreadable objects',
    description: 'Watched objects that cannot be read and are skipped, by resource. A job’s status says why.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 6,
    height: 8,
    queries: [
      { expr: `max by (resource) (${perOperator('fedbiot_operator_unreadable_objects')})`, legend: '{{resource}}' },
    ],
  }),
];
