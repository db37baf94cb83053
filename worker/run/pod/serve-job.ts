import { join } from 'node:path';
import { reuseBundle } from '../../bundle/reuse.ts';
import { serveBundle } from '../../bundle/serve.ts';
import { jobKeys } from '../../cluster/redis-keys.ts';
import { Compute } from '../../engine/compute.ts';
import { coordinate } from '../../federation/coordinator.ts';
import { maxHeaderBytes } from '../../federation/result.ts';
import type { RunDirectory } from '../run-directory.ts';
import type { ServerMetrics } from '../../metrics/server-metrics.ts';
import { withDtype } from '../../model/convert.ts';
import { verificationIn } from '../../safetensors/checked-content.ts';
import type { FederatedModel } from '../../model/federated-model.ts';
import type { RedisAddress } from '../../transport/redis/connect.ts';
import type { RedisListener } from '../../transport/redis/patience.ts';
import { RedisServerTransport } from '../../transport/redis/server.ts';
import { formatModel } from '../job-model.ts';
import { onPublicData } from '../on-public-data.ts';
import { estimateJob } from '../../estimate/job-estimate.ts';
import { availableMemory, podMemoryInWords, toldWithPlan } from '../../estimate/memory-check.ts';
import { writeJobRecord } from '../job-manifest.ts';
import { abortable, interruptible } from './abortable.ts';
import { Interrupted } from './ending.ts';
import type { RunFollower } from './follower.ts';
import type { ProgressPublisher } from './progress-publisher.ts';
import type { ServerInputs } from './server-inputs.ts';
import { finishedReport, readEvents, RunRecorder } from '../recorder.ts';
import type { Pod } from './context.ts';
import { BUNDLE_FOLDER } from '../run-disk.ts';
import { layoutsOf, runRounds } from '../run-rounds.ts';
import type { RunResult } from '../run-rounds.ts';

/** A pod that is the server of its job: it holds the fence and the run's folder. */
export interface JobServer extends Pod {
  readonly address: RedisAddress;
  readonly listener: RedisListener;
  readonly inputs: ServerInputs;
  readonly directory: RunDirectory;
  readonly publisher: ProgressPublisher;
  readonly follower: RunFollower;
  readonly metrics: ServerMetrics;
  /** The token of the fence. */
  readonly token: number;
  /** Called when clients can fetch the bundle. */
  readonly onServing: () => void;
  /** Called when training begins. From then on, an interruption writes a checkpoint first. */
  readonly onTraining: () => void;
}

/**
 * Runs the rounds of the job, unless an earlier pod has finished it.
 * @returns the outcome in words
 */
export async function serveJob(server: JobServer): Promise<string> {
  const { context, job, directory, publisher, follower, inputs, log } = server;
  follower.restore(readEvents(directory.metrics));
  const before = await finishedReport(directory);
  if (before !== null) {
    log.info('the job was finished by an earlier pod');
    await publisher.finish(follower.progress, before);
    return `the job has finished, adapter ${before.adapterSha256}`;
  }
  publisher.progress({ ...follower.progress, phase: 'Preparing' });
  writeJobRecord(directory.root, job, inputs.folders);
  const compute = new Compute({ threads: context.threads, provider: context.provider });
  try {
    const result = await toldWithPlan(inputs.planned, podMemoryInWords(), () => train(server, compute));
    if (result.outcome === 'interrupted') {
      await publisher.settle();
      throw new Interrupted(`told to stop: interrupted in round ${result.round}, and a checkpoint was written`);
    }
    const { report } = result;
    const { adapterSha256 } = report;
    if (adapterSha256 === null) throw new Error('a run that succeeded has no adapter');
    await abortable(publisher.finish(follower.progress, { ...report, adapterSha256 }), context.signal);
    return `the job has finished, adapter ${adapterSha256}`;
  } finally {
    compute.close();
  }
}

async function train(server: JobServer, compute: Compute): Promise<RunResult> {
  const { context, environment, job, directory, publisher, follower, inputs, token, address, listener } = server;
  const { signal } = context;
  const { spec } = job;
  const { data } = inputs;
  const stored = await withDtype(inputs.model, spec.model.dtype, directory.cache, { signal });
  const { publicSequences } = data;
  const onRounded = (done: number, total: number) => {
    server.metrics.heard();
    server.log.info({ done, total }, 'a matrix of the emulator was rounded to 4 bits');
  };
  const told = { onMeasured: server.metrics.heard, onRounded };
  const measured = onPublicData({ compute, publicSequences, seed: spec.seed, signal, ...told });
  const format = { ...context, cache: directory.cache };
  const { model, checkUnchanged } = await formatModel(stored, spec, measured, format);
  await offerBundle(server, model);

  const record: RunRecorder = await RunRecorder.open({
    directory,
    layouts: layoutsOf(model),
    spec,
    partition: [],
    onEvent: (event) => {
      follower.observe(event);
      if (event.event === 'round') publisher.report(record.report());
    },
  });
  // Only the events up to the checkpoint.
  follower.restore(readEvents(directory.metrics));
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
      checkUnchanged,
      compute,
      place: { provider: context.provider, ownProcess: true },
      directory,
      record,
      plan: estimateJob(model, spec, {
        publicSequences: data.publicSequences.length,
        heldOutSequences: data.heldOut?.sequences.length ?? 0,
        workers: 1,
        provider: context.provider,
        available: availableMemory(),
      }),
      trace: null,
      onSweep: server.metrics.heard,
      onEvaluation: server.metrics.heard,
      signal,
      federate: async (coordination) => {
        await coordination.aligner.rehearse();
        server.onTraining();
        publisher.progress(follower.progress);
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
  { context, environment, inputs, directory, publisher, onServing, log }: JobServer,
  model: FederatedModel,
): Promise<void> {
  const verification = verificationIn(directory.cache, { signal: context.signal });
  const bundle = await reuseBundle(model, inputs.model.path, join(directory.cache, BUNDLE_FOLDER), verification);
  await serveBundle(bundle, { token: environment.token, host: context.host, port: context.ports.bundle });
  await publisher.announce(bundle);
  onServing();
  log.info({ bundle: bundle.sha256 }, 'clients can fetch the emulator bundle');
}
