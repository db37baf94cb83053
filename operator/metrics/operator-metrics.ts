import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import { one, registerSeries } from '../../worker/metrics/series.ts';
import type { Series } from '../../worker/metrics/series.ts';
import type { RedisMemory } from '../redis/memory.ts';

/** The controller's name in every label. */
const CONTROLLER = 'fedbiotjob';

/** Results of a reconcile, named as in controller-runtime. */
const RESULTS = ['success', 'error', 'requeue', 'requeue_after'] as const;
export type ReconcileOutcome = (typeof RESULTS)[number];

/** Buckets in seconds, as in controller-runtime, for its dashboards. */
const RECONCILE_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60];
const QUEUE_BUCKETS = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000];

/** Metrics of the operator itself, named as in controller-runtime and client-go where those have them. */
export interface OperatorMetrics {
  /** Runs `work` and counts it, by `outcomeOf` its result. Errors are counted and passed on. */
  reconcile<T>(work: () => Promise<T>, outcomeOf: (result: T) => Exclude<ReconcileOutcome, 'error'>): Promise<T>;
  readonly queue: {
    added(depth: number): void;
    /** `waitedSeconds`: since the key was added. */
    taken(depth: number, waitedSeconds: number): void;
    done(workedSeconds: number): void;
    retried(): void;
  };
  /** A request to the API server; `code` is the HTTP status, or `<error>` when there was no answer. */
  request(method: string, host: string, code: number | '<error>'): void;
  leading(isLeader: boolean): void;
  /** Counts an uncaught error of the process. */
  unhandled(): void;
  /** Whether the operator receives progress from the default Redis. */
  redisConnected(isConnected: boolean): void;
  /** The memory that the default Redis reports; null: unknown. */
  redisMemory(memory: RedisMemory | null): void;
  /** Watches of the API server, by the plural of the resource. */
  readonly watch: {
    added(resource: string): void;
    /** A watch restarted after a failure. */
    restarted(resource: string): void;
  };
}

const MEMORY_SERIES: readonly Series<RedisMemory>[] = [
  {
    name: 'fedbiot_operator_redis_memory_used_bytes',
    help: "Memory used by the operator's Redis; of a Redis Cluster, by its fullest master. Absent while it does not answer.",
    kind: 'gauge',
    labels: [],
    samples: ({ used }) => one(used),
  },
  {
    name: 'fedbiot_operator_redis_memory_max_bytes',
    help: "Limit of the memory of the operator's Redis (maxmemory); of a Redis Cluster, of its fullest master. 0: no limit. Absent while it does not answer.",
    kind: 'gauge',
    labels: [],
    samples: ({ max }) => one(max),
  },
];

export function operatorMetrics(
  registry: Registry,
  settings: { readonly workers: number; readonly lease: string },
): OperatorMetrics {
  const registers = [registry];
  const controller = { controller: CONTROLLER };
  const name = { name: CONTROLLER };
  const gauge = <L extends string = never>(metric: string, help: string, labelNames: readonly L[]) =>
    new Gauge<L>({ name: metric, help, labelNames, registers });
  const counter = <L extends string = never>(metric: string, help: string, labelNames: readonly L[]) =>
    new Counter<L>({ name: metric, help, labelNames, registers });
  const histogram = <L extends string>(metric: string, help: string, labelNames: readonly L[], buckets: number[]) =>
    new Histogram<L>({ name: metric, help, labelNames, buckets, registers });

  const reconciles = counter('controller_runtime_reconcile_total', 'Reconciles, by result.', ['controller', 'result']);
  const errors = counter('controller_runtime_reconcile_errors_total', 'Reconciles that ended in an error.', [
    'controller',
  ]);
  const seconds = histogram(
    'controller_runtime_reconcile_time_seconds',
    'Duration of a reconcile.',
    ['controller'],
    RECONCILE_BUCKETS,
  );
  const active = gauge('controller_runtime_active_workers', 'Reconciles in progress.', ['controller']);
  const workers = gauge('controller_runtime_max_concurrent_reconciles', 'Maximum of concurrent reconciles.', [
    'controller',
  ]);
  const depth = gauge('workqueue_depth', 'Keys waiting in the queue.', ['name']);
  const adds = counter('workqueue_adds_total', 'Keys added to the queue.', ['name']);
  const retries = counter('workqueue_retries_total', 'Keys added again after an error.', ['name']);
  const waited = histogram(
    'workqueue_queue_duration_seconds',
    'Time a key waited in the queue.',
    ['name'],
    QUEUE_BUCKETS,
  );
  const worked = histogram('workqueue_work_duration_seconds', 'Time a key was processed.', ['name'], QUEUE_BUCKETS);
  const requests = counter('rest_client_requests_total', 'Requests to the API server.', ['code', 'method', 'host']);
  const leader = gauge('leader_election_master_status', '1 on the leader, else 0.', ['name']);
  const redis = gauge(
    'fedbiot_operator_redis_connected',
    '1 while the operator receives progress from its Redis, else 0.',
    [],
  );
  const restarts = counter(
    'fedbiot_operator_watch_restarts_total',
    'Watches of the API server that restarted after a failure.',
    ['resource'],
  );
  const unhandled = counter(
    'fedbiot_operator_unhandled_errors_total',
    'Uncaught errors that the operator survived. Each is a defect.',
    [],
  );
  let memory: RedisMemory | null = null;
  registerSeries(registry, MEMORY_SERIES, [], () => (memory === null ? [] : [{ labels: {}, view: memory }]));

  for (const result of RESULTS) reconciles.inc({ ...controller, result }, 0);
  errors.inc(controller, 0);
  active.set(controller, 0);
  workers.set(controller, settings.workers);
  depth.set(name, 0);
  adds.inc(name, 0);
  retries.inc(name, 0);
  for (const each of [waited, worked]) each.zero(name);
  seconds.zero(controller);
  leader.set({ name: settings.lease }, 0);

  return {
    async reconcile(work, outcomeOf) {
      const end = seconds.startTimer(controller);
      active.inc(controller);
      try {
        const result = await work();
        reconciles.inc({ ...controller, result: outcomeOf(result) });
        return result;
      } catch (error) {
        reconciles.inc({ ...controller, result: 'error' });
        errors.inc(controller);
        throw error;
      } finally {
        active.dec(controller);
        end();
      }
    },
    queue: {
      added(length) {
        adds.inc(name);
        depth.set(name, length);
      },
      taken(length, waitedSeconds) {
        depth.set(name, length);
        waited.observe(name, waitedSeconds);
      },
      done: (workedSeconds) => worked.observe(name, workedSeconds),
      retried: () => retries.inc(name),
    },
    request: (method, host, code) => requests.inc({ code: String(code), method, host }),
    leading: (isLeader) => leader.set({ name: settings.lease }, Number(isLeader)),
    unhandled: () => unhandled.inc(),
    redisConnected: (isConnected) => redis.set(Number(isConnected)),
    redisMemory(observed) {
      memory = observed;
    },
    watch: {
      added: (resource) => restarts.inc({ resource }, 0),
      restarted: (resource) => restarts.inc({ resource }),
    },
  };
}
