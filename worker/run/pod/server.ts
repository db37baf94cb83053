import { setTimeout as delay } from 'node:timers/promises';
import { jobKeys } from '../../cluster/redis-keys.ts';
import { openRunDirectory, runMetrics } from '../run-directory.ts';
import { factsOf } from '../../metrics/job-series.ts';
import { serveMetrics } from '../../metrics/metrics-server.ts';
import { queueMetric } from '../../metrics/queue-metric.ts';
import { serverMetrics } from '../../metrics/server-metrics.ts';
import { openRedis } from '../../transport/redis/connect.ts';
import { acquireFence } from '../../transport/redis/fence.ts';
import { RedisProgress } from '../../transport/redis/progress.ts';
import { queueLengths } from '../../transport/redis/queue-lengths.ts';
import { abortable } from './abortable.ts';
import { ProgressPublisher } from './progress-publisher.ts';
import { RunFollower } from './follower.ts';
import { redisLog } from './log.ts';
import { redisWhenUp } from './redis-up.ts';
import { serveJob } from './serve-job.ts';
import { openServerInputs, planServer } from './server-inputs.ts';
import { HANDOVER_MS, watchTenure } from './tenure.ts';
import { runManifest } from '../input-hashes.ts';
import { readEvents } from '../recorder.ts';
import type { Pod } from './context.ts';

/**
 * The server of a job in a pod: like `fedbiot run`, but its clients are reached through Redis.
 * @throws Interrupted if it was told to stop; Fenced or FolderLost if another pod has taken over
 */
export async function serverRole(pod: Pod): Promise<string> {
  const { context, job, environment, log } = pod;
  const { signal } = context;
  const { federation } = job.spec;
  const { namespace } = environment;
  const { name } = job.metadata;
  let isServing = false;
  const metrics = serverMetrics({ namespace, job: name }, factsOf(job.spec));
  await serveMetrics(metrics.registry, { host: context.host, port: context.ports.metrics, isReady: () => isServing });

  const keys = jobKeys(environment.uid);
  const needs = { keys, role: 'server', job: `${namespace}/${name}` } as const;
  const address = await redisWhenUp(environment.redis, needs, {
    patienceMs: context.redisPatienceMs.server,
    log,
    signal,
  });
  const listener = redisLog(log);
  const redis = openRedis(address, listener);
  queueMetric(metrics.registry, { namespace, job: name }, () => queueLengths(redis, keys));
  const fence = await abortable(acquireFence(redis, keys), signal);
  log.info({ fence: fence.token }, 'this pod is now the server of the job');

  const plan = await abortable(planServer(pod), signal);
  const publisher = new ProgressPublisher(new RedisProgress(redis, keys, fence, needs.job), log, plan.memory);
  const facts = {
    rounds: federation.rounds,
    clientsPerRound: federation.clientsPerRound,
    localSteps: federation.local.steps,
  };
  const follower = new RunFollower(facts, { metrics, log, onProgress: publisher.progress });
  const inputs = await abortable(openServerInputs(pod, plan), signal).catch(async (error: unknown) => {
    // The status has the plan also of a pod that refuses to start, and what earlier pods have reached.
    follower.restore(readEvents(runMetrics(context.folders.output)));
    publisher.progress(follower.progress);
    await publisher.settle();
    throw error;
  });
  const manifest = await abortable(
    runManifest(job, { ...inputs, data: inputs.data.sha256, provider: context.provider }),
    signal,
  );
  // The fence has revoked the previous server, so its folder can be taken over.
  const directory = openRunDirectory(context.folders.output, manifest, { resume: true, takeOver: true });
  const tenure = watchTenure(fence, directory);
  const idle = new AbortController();
  const leaveAtOnce = () => idle.abort(signal.reason);
  signal.addEventListener('abort', leaveAtOnce);
  try {
    if (directory.tookOver) await delay(HANDOVER_MS, undefined, { signal });
    const work = serveJob({
      ...pod,
      address,
      listener,
      inputs,
      directory,
      publisher,
      follower,
      metrics,
      token: fence.token,
      onServing: () => (isServing = true),
      onTraining: () => signal.removeEventListener('abort', leaveAtOnce),
    });
    return await Promise.race([tenure.lost, abortable(work, idle.signal)]);
  } finally {
    tenure.stop();
    directory.release();
  }
}
