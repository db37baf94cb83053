import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fetchBundle } from '../../bundle/fetch.ts';
import { openBundle } from '../../bundle/open.ts';
import { jobKeys } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import { Compute } from '../../engine/compute.ts';
import { matrixProduct } from '../../engine/matrix-product.ts';
import { runClientWorker } from '../../federation/client-worker.ts';
import { maxHeaderBytes } from '../../federation/result.ts';
import { clientMetrics } from '../../metrics/client-metrics.ts';
import type { ClientMetrics } from '../../metrics/client-metrics.ts';
import { serveMetrics } from '../../metrics/metrics-server.ts';
import { verificationIn } from '../../safetensors/checked-content.ts';
import { RedisClientTransport } from '../../transport/redis/client.ts';
import { openRedis } from '../../transport/redis/connect.ts';
import type { RedisAddress } from '../../transport/redis/connect.ts';
import type { RedisListener } from '../../transport/redis/patience.ts';
import { isFinished, readBundle } from '../../transport/redis/progress.ts';
import type { BundleAnnouncement } from '../../transport/redis/progress.ts';
import type { RedisConnection } from '../../transport/redis/redis-cluster.ts';
import { loadClientData } from '../job-data.ts';
import { checkPodMemory, podMemoryInWords, toldWithPlan } from '../../estimate/memory-check.ts';
import { plannedPod } from '../../estimate/planned-memory.ts';
import { abortable, abortLater } from './abortable.ts';
import { uriFolders } from './context.ts';
import { Interrupted } from './ending.ts';
import { readServerUrl } from './environment.ts';
import { observedTransport } from './observed-transport.ts';
import { redisLog } from './log.ts';
import { redisWhenUp } from './redis-up.ts';
import { loadTrainers, rehearseAll } from '../load-roles.ts';
import type { Pod } from './context.ts';
import { layoutsOf } from '../run-rounds.ts';

/** How often to look for the server's bundle. */
const POLL_MS = 1_000;
/** How often to look whether the job has finished: clients wait for hours, and Redis has many jobs. */
const FINISHED_POLL_MS = 2_000;

/** How long returning tasks may take. */
const PATIENCE_MS = 20_000;

interface Client extends Pod {
  readonly address: RedisAddress;
  readonly listener: RedisListener;
  readonly redis: RedisConnection;
  readonly keys: JobKeys;
  readonly serverUrl: string;
  readonly metrics: ClientMetrics;
  /** Aborts when the pod should exit: it was told to stop, or the job has finished. */
  readonly leave: AbortSignal;
  /** Called when the bundle is open. */
  readonly onOpened: () => void;
}

/**
 * Trains for a job's clients in a pod, task by task, until the job has finished.
 * @throws Interrupted if the pod was told to stop
 */
export async function clientRole(pod: Pod): Promise<string> {
  const { context, job, environment, log } = pod;
  const { signal } = context;
  const serverUrl = readServerUrl(context.variables);
  let isOpen = false;
  const metrics = clientMetrics({ namespace: environment.namespace, job: job.metadata.name });
  await serveMetrics(metrics.registry, { host: context.host, port: context.ports.metrics, isReady: () => isOpen });

  const keys = jobKeys(environment.uid);
  const needs = { keys, role: 'client', job: `${environment.namespace}/${job.metadata.name}` } as const;
  const patienceMs = context.redisPatienceMs.client;
  const address = { ...(await redisWhenUp(environment.redis, needs, { patienceMs, log, signal })), patienceMs };
  const listener = redisLog(log);
  const redis = openRedis(address, listener);
  const over = new AbortController();
  const leave = AbortSignal.any([signal, over.signal]);
  const watching = untilFinished(redis, keys, signal).then(
    (isOver) => void (isOver && over.abort(new Error('the job has finished'))),
  );
  try {
    await train({ ...pod, address, listener, redis, keys, serverUrl, metrics, leave, onOpened: () => (isOpen = true) });
  } catch (error) {
    // Errors after `leave` come from work that was aborted.
    if (!leave.aborted) throw error;
  }
  await watching;
  if (!over.signal.aborted) throw new Interrupted('told to stop: the tasks of this pod go to other pods');
  return 'the job has finished';
}

/**
 * Waits for the end of the job.
 * @returns false if `signal` aborts first
 */
async function untilFinished(redis: RedisConnection, keys: JobKeys, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    if (await abortable(isFinished(redis, keys), signal).catch(() => false)) return true;
    await delay(FINISHED_POLL_MS, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

async function train(client: Client): Promise<void> {
  const { context, job, environment, address, listener, keys, metrics, log, leave } = client;
  const { spec } = job;
  const bundle = await announcedBundle(client);
  const folder = await fetchBundle(bundle, {
    serverUrl: client.serverUrl,
    token: environment.token,
    cache: context.folders.cache,
    signal: leave,
  });
  const { model, tokenizer } = await openBundle(
    folder,
    bundle.sha256,
    spec,
    verificationIn(context.folders.cache, { signal: leave }),
    matrixProduct(context.provider),
  );
  metrics.bundle(await folderBytes(folder));
  log.info({ bundle: bundle.sha256 }, 'the emulator bundle is open');
  const planned = plannedPod(model, spec, 'client');
  for (const warning of checkPodMemory(planned, 'spec.client.resources.limits.memory')) log.warn(warning);
  client.onOpened();
  const { clients } = await loadClientData(spec, tokenizer, uriFolders(spec, context.folders).clientData, (message) =>
    log.warn(message),
  );

  const broken = new AbortController();
  const signal = AbortSignal.any([leave, broken.signal]);
  const computes = Array.from(
    { length: spec.client.parallelClients },
    () => new Compute({ threads: context.threads, provider: context.provider }),
  );
  try {
    await toldWithPlan(planned, podMemoryInWords(), async () => {
      const place = { provider: context.provider, ownProcess: true };
      const trainers = await loadTrainers({ spec, model, clients, computes, place, trace: null });
      await rehearseAll(trainers);
      log.info({ parallelClients: trainers.length }, 'ready to train');
      const workers = trainers.map(async (trainer) => {
        const transport = new RedisClientTransport(address, keys, {
          lockMs: context.lockMs,
          maxHeaderBytes: maxHeaderBytes(spec.federation.local.steps),
          listener,
        });
        await runClientWorker({
          transport: observedTransport(transport, { metrics, log }),
          trainer,
          layouts: layoutsOf(model),
          onStep: metrics.step,
          onSweep: metrics.heard,
          signal,
        }).catch((error: unknown) => broken.abort(error));
      });
      // The workers return their tasks. They must not block if Redis is unavailable.
      await abortable(Promise.all(workers), abortLater(leave, PATIENCE_MS));
      broken.signal.throwIfAborted();
    });
  } finally {
    for (const compute of computes) compute.close();
  }
}

/** Waits until the server has announced its bundle. */
async function announcedBundle({ redis, keys, leave, log }: Client): Promise<BundleAnnouncement> {
  for (let attempt = 1; ; attempt++) {
    const bundle = await abortable(readBundle(redis, keys), leave);
    if (bundle !== null) return bundle;
    if (attempt === 1) log.info('waiting for the server');
    await delay(POLL_MS, undefined, { signal: leave });
  }
}

async function folderBytes(folder: string): Promise<number> {
  const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
