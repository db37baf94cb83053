import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { dashboardBuilder, finished } from './dashboard.ts';
import { figure, graph } from './panels.ts';
import type { Look } from './panels.ts';
import { ofOperators, percentile, perOperator } from './query.ts';
import { namespaceOfOperators } from './variables.ts';

const CONTROLLER = 'controller="fedbiotjob"';
const QUEUE = 'name="fedbiotjob"';
const LEASE = 'name="fedbiot-operator"';

const rate = (metric: string, where: string) => `rate(${perOperator(metric, where)}[$__rate_interval])`;
/** Counters that every operator of controller-runtime has and that name none: known by the instance. */
const rateOfAny = (metric: string) => ofOperators(`rate(${perOperator(metric)}[$__rate_interval])`);
const ofAny = (metric: string) => ofOperators(perOperator(metric));
const ratio = (part: string, whole: string) => `sum(${part}) / sum(${whole})`;
/** Where a pod scraped by an address has no name, the address is all there is. */
const REPLICA = '{{pod}} {{instance}}';

const PERCENTILES: readonly Look[] = [
  { name: /p50/, color: 'green' },
  { name: /p90/, color: 'yellow' },
  { name: /p99/, color: 'red' },
];

const percentilesOf = (bucket: string, where: string) =>
  [50, 90, 99].map((part) => ({ expr: percentile(part / 100, rate(bucket, where), []), legend: `p${part}` }));

const redisUsed = perOperator('fedbiot_operator_redis_memory_used_bytes');
const redisMax = perOperator('fedbiot_operator_redis_memory_max_bytes');

const atAGlance = [
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

const reconciles = [
  graph({
    title: 'Reconciles by result',
    description: 'A second, of all replicas; only the leader reconciles.',
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
    title: 'Time of a reconcile',
    description: 'From taking a job up to having written what it needs: mostly the API server’s time.',
    unit: 's',
    min: 0,
    width: 8,
    height: 8,
    looks: PERCENTILES,
    queries: percentilesOf('controller_runtime_reconcile_time_seconds_bucket', CONTROLLER),
  }),
  graph({
    title: 'Reconciles under way',
    description: 'And the most that the option for workers allows. At the limit for long, jobs wait in the queue.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    looks: [{ name: /at most/, color: 'gray', dashed: true }],
    queries: [
      { expr: `sum(${perOperator('controller_runtime_active_workers', CONTROLLER)})`, legend: 'under way' },
      { expr: `max(${perOperator('controller_runtime_max_concurrent_reconciles', CONTROLLER)})`, legend: 'at most' },
    ],
  }),
];

const queue = [
  graph({
    title: 'Jobs in the work queue',
    description: 'That wait to be looked at. It fills when the operator starts, and should drain within seconds.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    queries: [{ expr: perOperator('workqueue_depth', QUEUE), legend: REPLICA }],
  }),
  graph({
    title: 'Time in the queue',
    description: 'How long a job waited before it was looked at.',
    unit: 's',
    min: 0,
    width: 8,
    height: 8,
    looks: PERCENTILES,
    queries: percentilesOf('workqueue_queue_duration_seconds_bucket', QUEUE),
  }),
  graph({
    title: 'Added and tried again',
    description: 'A second: jobs added because something changed, and those added again after an error.',
    unit: 'ops',
    min: 0,
    width: 8,
    height: 8,
    looks: [{ name: /again/, color: 'red' }],
    queries: [
      { expr: `sum(${rate('workqueue_adds_total', QUEUE)})`, legend: 'added' },
      { expr: `sum(${rate('workqueue_retries_total', QUEUE)})`, legend: 'tried again' },
    ],
  }),
];

const outside = [
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

const processes = [
  graph({
    title: 'Event loop lag',
    description:
      '99th percentile between two scrapes. The lease is renewed on the same loop: at ten seconds the lead is lost.',
    unit: 's',
    min: 0,
    width: 8,
    height: 8,
    queries: [{ expr: ofAny('nodejs_eventloop_lag_p99_seconds'), legend: REPLICA }],
  }),
  graph({
    title: 'CPU',
    description: 'Cores that a replica uses.',
    unit: 'none',
    min: 0,
    width: 8,
    height: 8,
    queries: [{ expr: rateOfAny('process_cpu_seconds_total'), legend: REPLICA }],
  }),
  graph({
    title: 'Memory',
    description: 'Resident. It grows with the number of jobs: with 300, up to 321 MiB.',
    unit: 'bytes',
    min: 0,
    width: 8,
    height: 8,
    queries: [{ expr: ofAny('process_resident_memory_bytes'), legend: REPLICA }],
  }),
];

export const operatorDashboard = (): Dashboard =>
  finished(
    dashboardBuilder({
      uid: 'fedbiot-operator',
      title: 'FedBiOT / Operator',
      description:
        'The operator itself: who leads, what it does and how fast, what it asks of the API server, its Redis and its processes.',
      from: 'now-6h',
      variables: [namespaceOfOperators()],
      rows: [
        { title: 'At a glance', panels: atAGlance },
        { title: 'Reconciles', panels: reconciles },
        { title: 'Work queue', panels: queue },
        { title: 'API server, leader and Redis', panels: outside },
        { title: 'Processes', panels: processes },
      ],
    }),
  );
