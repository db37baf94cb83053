import { graph } from '../panels.ts';
import { perOperator } from '../query.ts';
import { LEASE, rateOfAny, REPLICA, redisUsed } from './queries.ts';

const redisMax = perOperator('fedbiot_operator_redis_memory_max_bytes');

export const dependencies = [
  graph({
    title: 'Requests to the API server by answer',
    description:
      'A second. 409 is a write that came second and is tried again; 403 is a role that is not bound; <error> is no answer.',
    unit: 'reqps',
    min: 0,
    width: 8,
    height: 8,
    stacked: true,
    queries: [{ expr: `sum by (code) (${rateOfAny('rest_client_requests_total')})`, legend: '{{code}}' }],
  }),
  graph({
    title: 'Requests to the API server by method',
    description: 'A second. Writes are for jobs that change; once all is quiet, leases and watches are left.',
    unit: 'reqps',
    min: 0,
    width: 8,
    height: 8,
    stacked: true,
    queries: [{ expr: `sum by (method) (${rateOfAny('rest_client_requests_total')})`, legend: '{{method}}' }],
  }),
  graph({
    title: 'Watches started again',
    description:
      'After something went wrong, by what is watched, since the replica started. The API server away, or a role that is not bound.',
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
    title: 'Leads',
    description: '1 for the replica that leads. A step is a handover.',
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
    description: 'Used, and the limit where there is one (maxmemory; 0 is none). When it is full, rounds fail.',
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
    title: 'Hears of progress',
    description: '1 while a replica hears of progress from the operator’s own Redis.',
    unit: 'none',
    decimals: 0,
    min: 0,
    max: 1,
    width: 6,
    height: 8,
    queries: [{ expr: perOperator('fedbiot_operator_redis_connected'), legend: REPLICA }],
  }),
  graph({
    title: 'Objects that cannot be read',
    description: 'By what is watched. Each is passed over, alone; a job is told why in its status.',
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
