import { randomInt, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { aside } from './process/aside.ts';
import { monotonicClock } from './process/clock.ts';
import type { OperatorConfig } from './config/config.ts';
import { Access } from './http/access.ts';
import { listen } from './http/listen.ts';
import { kubernetesReviews } from './http/reviews.ts';
import { httpServer } from './http/server.ts';
import { ApiClient } from './kube/api-client.ts';
import { Cluster } from './kube/cluster.ts';
import { loadKubeConfig } from './kube/kube-config.ts';
import { soleReplica } from './leader/candidate.ts';
import type { Candidate } from './leader/candidate.ts';
import { LEASE_TIMES, LeaderElector } from './leader/elector.ts';
import { kubernetesLease, LEASE_NAME } from './leader/kubernetes-lease.ts';
import { leadingPorts } from './leader/leading-ports.ts';
import { leaseNamespace } from './leader/lease-namespace.ts';
import { jobMetrics } from './job-metrics/job-metrics.ts';
import { operatorMetrics } from './metrics/operator-metrics.ts';
import { unreadableObjects } from './metrics/unreadable-objects.ts';
import { jobRegistry } from './progress/job-registry.ts';
import { MirrorPool } from './progress/mirror-pool.ts';
import { WorkQueue } from './queue/work-queue.ts';
import { RedisUsers } from './redis-users/redis-users.ts';
import { Readiness } from './readiness.ts';
import { reconcileKey } from './reconcile-key.ts';
import { settingsFromConfig } from './settings-from-config.ts';
import type { ReconcilePorts } from './ports/reconcile-ports.ts';

/** Timeout of requests about the lease and of token reviews: the lease must be retried well before it is lost. */
const PROMPT_MS = 5_000;

const NO_REDIS = { kind: 'away', reason: 'the operator has no Redis' } as const;

export interface Operator {
  /** The port it serves on. */
  readonly port: number;
  /** Counts an uncaught error. */
  unhandled(): void;
  /** Finishes current work, releases the lease and closes everything. */
  stop(): Promise<void>;
}

/**
 * Every replica watches and serves; only the leader reconciles. `fail` is called when the operator cannot continue and
 * the process must end.
 * @throws UserError for a missing kubeconfig, namespace of the lease or port
 */
export async function startOperator(
  config: OperatorConfig,
  version: string,
  log: Logger,
  fail: (error: Error) => void,
): Promise<Operator> {
  const kubeConfig = loadKubeConfig(config.kubeconfig);
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const metrics = operatorMetrics(registry, { workers: config.workers, lease: LEASE_NAME });
  const client = new ApiClient({ kubeConfig, request: metrics.request, timeoutMs: PROMPT_MS });
  // A separate client: token reviews are caused by callers and must not delay the lease.
  const reviewer = new ApiClient({ kubeConfig, request: metrics.request, timeoutMs: PROMPT_MS });

  const stopping = new AbortController();

  const elected = () => {
    if (stopping.signal.aborted) return;
    log.info('this replica leads');
    metrics.leading(true);
    const begin = () => {
      if (stopping.signal.aborted) return;
      queue.start();
      lookAtAll();
    };
    // A leader that cannot work must end, so that another replica takes over.
    Promise.resolve(redisUsers?.start()).then(begin).catch(fail);
  };
  const lookAtAll = () => {
    for (const key of cluster.keys()) queue.add(key);
  };
  const lost = () => {
    metrics.leading(false);
    fail(new Error('the lead is lost: the lease could not be renewed in time'));
  };
  const candidate: Candidate = config.leaderElect
    ? new LeaderElector({
        store: kubernetesLease(client, leaseNamespace(config.leaseNamespace)),
        identity: `${hostname()}_${randomUUID()}`,
        times: LEASE_TIMES,
        clock: monotonicClock,
        now: Date.now,
        random: () => randomInt(2 ** 32) / 2 ** 32,
        log,
        elected,
        lost,
      })
    : soleReplica(elected);

  const cluster = new Cluster({
    kubeConfig,
    namespaces: config.namespaces,
    log,
    request: metrics.request,
    changed: (key) => queue.add(key),
    removed(job) {
      aside(log, () => mirrors.forget(job, candidate.leads()));
      if (candidate.leads() && job.spec.redis === undefined) aside(log, () => redisUsers?.revoke(job));
    },
    watch: metrics.watch,
  });
  const mirrors = new MirrorPool({
    defaultRedis: config.redisUrl === null ? null : { url: config.redisUrl, ca: config.redisCa },
    log,
    jobs: () => cluster.jobs(),
    async addressOf(job) {
      const url = await cluster.redisUrlOf(job);
      return url === null ? null : { url, ca: await cluster.caOf(job) };
    },
    changed: (key) => queue.add(key),
    connected: metrics.redisConnected,
    memory: metrics.redisMemory,
    leads: () => candidate.leads(),
    registry: config.secretKey === null ? null : jobRegistry(config.secretKey, config.namespaces),
    now: Date.now,
  });
  const redisUsers =
    config.redisUrl === null
      ? null
      : new RedisUsers({ url: config.redisUrl, ca: config.redisCa, log, changed: lookAtAll });
  const ports: ReconcilePorts = {
    ...cluster.ports,
    redisUsers: () => redisUsers?.standing() ?? NO_REDIS,
    async grantRedis({ metadata }, passwords) {
      await redisUsers?.grant(metadata.uid, passwords);
    },
    progressOf: (uid) => mirrors.progressOf(uid),
    now: Date.now,
  };
  const queue = new WorkQueue({
    workers: config.workers,
    clock: monotonicClock,
    metrics: metrics.queue,
    log,
    ...reconcileKey({
      ports: leadingPorts(ports, () => candidate.leads()),
      settings: settingsFromConfig(config),
      metrics,
      log,
    }),
  });

  const readiness = new Readiness({ client, log, missing: () => cluster.missing() });
  jobMetrics(registry, () =>
    cluster.jobs().map((job) => ({ job, progress: mirrors.progressOf(job.metadata.uid), pods: cluster.podsOf(job) })),
  );
  unreadableObjects(registry, () => cluster.unreadable());
  const app = await httpServer({
    reader: {
      jobs: () => cluster.jobs(),
      getJob: ports.getJob,
      progressOf: ports.progressOf,
      reportOf: (job) => mirrors.reportOf(job),
    },
    access: new Access(kubernetesReviews(reviewer)),
    metricsAuth: config.metricsAuth,
    registry,
    log,
    version,
    notReady: () => readiness.missing(),
  });
  const port = await listen(app, config.port);
  if (config.secretKey === null) {
    log.warn(
      'no --secret-key-file: if the Secret of a job is deleted after a restart of the operator, it is created again with a different token, which running pods do not have',
    );
  }
  log.info({ version, port, namespaces: config.namespaces ?? 'all' }, 'serving');

  cluster.start();
  const standing = readiness.complete(stopping.signal).then((isComplete) => {
    if (!isComplete) return;
    log.info('ready');
    candidate.start();
  });

  return {
    port,
    unhandled: metrics.unhandled,
    async stop() {
      stopping.abort();
      await standing;
      await queue.stop();
      await candidate.stop();
      metrics.leading(false);
      await app.close();
      mirrors.close();
      redisUsers?.close();
      await cluster.close();
      client.close();
      reviewer.close();
    },
  };
}
