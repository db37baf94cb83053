import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { reuseBundle } from '../../bundle/reuse.ts';
import { serveBundle } from '../../bundle/serve.ts';
import { jobKeys } from '../../cluster/redis-keys.ts';
import { Compute } from '../../engine/compute.ts';
import { coordinate } from '../../federation/coordinator.ts';
import { maxHeaderBytes } from '../../federation/result.ts';
import { openRunDirectory } from '../run-directory.ts';
import type { RunDirectory } from '../run-directory.ts';
import { factsOf } from '../../metrics/job-series.ts';
import { serveMetrics } from '../../metrics/metrics-server.ts';
import { queueMetric } from '../../metrics/queue-metric.ts';
import { serverMetrics } from '../../metrics/server-metrics.ts';
import type { ServerMetrics } from '../../metrics/server-metrics.ts';
import { withDtype } from '../../model/convert.ts';
import type { FederatedModel } from '../../model/federated-model.ts';
import { openRedis } from '../../transport/redis/connect.ts';
import type { RedisAddress } from '../../transport/redis/connect.ts';
import { acquireFence } from '../../transport/redis/fence.ts';
import type { RedisListener } from '../../transport/redis/patience.ts';
import { RedisProgress } from '../../transport/redis/progress.ts';
import { queueLengths } from '../../transport/redis/queue-lengths.ts';
import { RedisServerTransport } from '../../transport/redis/server.ts';
import { federateModel, influenceOnPublicData } from '../job-model.ts';
import { podMemory } from '../../estimate/job-memory.ts';
import { estimateJob } from '../../estimate/job-estimate.ts';
import { availableMemory, checkPodMemory } from '../../estimate/memory-check.ts';
import { plannedModel } from '../estimate-job.ts';
import { writeJobRecord } from '../job-manifest.ts';
import { abortable } from './abortable.ts';
import { Bulletin } from './bulletin.ts';
import { Interrupted } from './ending.ts';
import { finishedReport } from './finished-run.ts';
import { RunFollower } from './follower.ts';
import { interruptible } from './interruptible.ts';
import { redisLog } from './redis-log.ts';
import { redisWhenUp } from './redis-up.ts';
import { openServerInputs } from './server-inputs.ts';
import type { ServerInputs } from './server-inputs.ts';
import { HANDOVER_MS, watchTenure } from './tenure.ts';
import { runManifest } from '../input-hashes.ts';
import { readEvents, RunRecorder } from '../recorder.ts';
import type { Pod } from './context.ts';
import { layoutsOf, runRounds } from '../run-rounds.ts';
import type { RunResult } from '../run-rounds.ts';

/** A server pod that is at work. */
interface Server extends Pod {
  readonly address: RedisAddress;
  readonly listener: RedisListener;
  readonly inputs: ServerInputs;
  readonly directory: RunDirectory;
  readonly bulletin: Bulletin;
  readonly follower: RunFollower;
  readonly metrics: ServerMetrics;
  /** Of the fence. */
  readonly token: number;
  /** The bundle can be fetched. */
  readonly onServing: () => void;
  /** From here on, whoever is told to stop writes a checkpoint first. */
  readonly onTraining: () => void;
}

/**
 * The server's part of a job in a pod of its own: what `fedbiot run` does, with clients that are reached through Redis.
 * @throws Interrupted when it was told to stop; Fenced or FolderLost when another pod has taken over
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
  log.info({ fence: fence.token }, 'this pod is the server of the job now');
  const bulletin = new Bulletin(new RedisProgress(redis, keys, fence, needs.job), log);

  const inputs = await abortable(openServerInputs(pod), signal);
  const manifest = await abortable(runManifest(job, { ...inputs, data: inputs.data.sha256 }), signal);
  // The fence has ended the turn of whoever has the folder.
  const directory = openRunDirectory(context.folders.output, manifest, { resume: true, takeOver: true });
  const tenure = watchTenure(fence, directory);
  const idle = new AbortController();
  const leaveAtOnce = () => idle.abort(signal.reason);
  signal.addEventListener('abort', leaveAtOnce);
  try {
    if (directory.tookOver) await delay(HANDOVER_MS, undefined, { signal });
    const facts = {
      rounds: federation.rounds,
      clientsPerRound: federation.clientsPerRound,
      localSteps: federation.local.steps,
    };
    const follower = new RunFollower(facts, { metrics, log, onProgress: bulletin.progress });
    const work = serve({
      ...pod,
      address,
      listener,
      inputs,
      directory,
      bulletin,
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

async function serve(server: Server): Promise<string> {
  const { context, job, directory, bulletin, follower, inputs, log } = server;
  follower.recall(readEvents(directory.metrics));
  const before = await finishedReport(directory);
  if (before !== null) {
    log.info('the job was finished by an earlier pod');
    await bulletin.finish(follower.progress, before);
    return `the adapter is finished: ${before.adapterSha256}`;
  }
  bulletin.progress({ ...follower.progress, phase: 'Preparing' });
  writeJobRecord(directory.root, job, inputs.folders);
  const compute = new Compute({ threads: context.threads, provider: context.provider });
  try {
    const result = await train(server, compute);
    if (result.outcome === 'interrupted') {
      await bulletin.settle();
      throw new Interrupted(`told to stop: interrupted in round ${result.round}, after a checkpoint`);
    }
    const { report } = result;
    const { adapterSha256 } = report;
    if (adapterSha256 === null) throw new Error('a run that succeeded has no adapter');
    await abortable(bulletin.finish(follower.progress, { ...report, adapterSha256 }), context.signal);
    return `the adapter is finished: ${adapterSha256}`;
  } finally {
    compute.close();
  }
}

async function train(server: Server, compute: Compute): Promise<RunResult> {
  const { context, environment, job, directory, bulletin, follower, inputs, token, address, listener } = server;
  const { signal } = context;
  const { spec } = job;
  const { data } = inputs;
  const needed = podMemory(await plannedModel(inputs.model, spec), spec).server;
  for (const warning of checkPodMemory(needed, 'spec.server.resources.limits.memory')) server.log.warn(warning);
  const stored = await withDtype(inputs.model, spec.model.dtype, directory.cache, { signal });
  const model = await federateModel(stored, spec, influenceOnPublicData(compute, data.publicSequences, spec.seed));
  await offerBundle(server, model);

  const record: RunRecorder = await RunRecorder.open({
    directory,
    layouts: layoutsOf(model),
    spec,
    partition: [],
    onEvent: (event) => {
      follower.hear(event);
      if (event.event === 'round') bulletin.report(record.report());
    },
  });
  // Without what the checkpoint does not know.
  follower.recall(readEvents(directory.metrics));
  const { steps } = spec.federation.local;
  const transport = new RedisServerTransport(address, jobKeys(environment.uid), token, {
    maxHeaderBytes: maxHeaderBytes(steps),
    listener,
  });
  try {
    return await runRounds({
      ...inputs,
      job,
      stored,
      model,
      compute,
      place: { provider: context.provider, ownProcess: true },
      directory,
      record,
      plan: estimateJob(model, spec, {
        publicSequences: data.publicSequences.length,
        workers: 1,
        available: availableMemory(),
      }),
      trace: null,
      onEvaluation: server.metrics.heard,
      signal,
      federate: async (coordination) => {
        await coordination.aligner.rehearse();
        server.onTraining();
        bulletin.progress(follower.progress);
        return coordinate({ ...coordination, transport: interruptible(transport, signal), sharesProcesses: false });
      },
    });
  } finally {
    record.close();
    await transport.close();
  }
}

/** Serves the emulator bundle to clients that have the job's token. */
async function offerBundle(
  { context, environment, inputs, directory, bulletin, onServing, log }: Server,
  model: FederatedModel,
): Promise<void> {
  const bundle = await reuseBundle(model, inputs.model.path, join(directory.cache, 'bundle'), {
    signal: context.signal,
  });
  await serveBundle(bundle, { token: environment.token, host: context.host, port: context.ports.bundle });
  await bulletin.announce(bundle);
  onServing();
  log.info({ bundle: bundle.sha256 }, 'clients can fetch the emulator bundle');
}
