import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { FedBiOTJob } from '../../crds/types.ts';
import { Compute } from '../engine/compute.ts';
import type { Provider } from '../engine/compute-protocol.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { freeBytes } from '../files/free-space.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import { federateInProcess } from '../federation/in-process.ts';
import { openRunDirectory, runCache } from './run-directory.ts';
import type { RunDirectory } from './run-directory.ts';
import { withDtype } from '../model/convert.ts';
import { openModelDirectory } from '../model/directory.ts';
import type { ModelDirectory } from '../model/directory.ts';
import { loadTokenizer } from '../tokenizer/tokenizer.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { verificationIn } from '../safetensors/checked-content.ts';
import type { LiveEvent } from '../report/display-state.ts';
import { formatBytes } from '../report/format.ts';
import { emitWarningsOnFailure, loadJobData } from './job-data.ts';
import type { JobData } from './job-data.ts';
import { resolveJobDate } from './job-date.ts';
import { federateModel, formatEmulator, influenceOnPublicData } from './job-model.ts';
import { checkDisk, jobDisk } from '../estimate/job-disk.ts';
import { estimateJob } from '../estimate/job-estimate.ts';
import type { EstimateContext } from '../estimate/job-estimate.ts';
import { absoluteUri, readJob, writeJobRecord } from './job-manifest.ts';
import type { UriFolders } from './job-manifest.ts';
import { availableMemory, checkMemory, toldWithPlan } from '../estimate/memory-check.ts';
import { plannedRun } from '../estimate/planned-memory.ts';
import { plannedModel } from './estimate-job.ts';
import { loadTrainers, rehearseAll } from './load-roles.ts';
import { runManifest } from './input-hashes.ts';
import { remainingDisk } from './run-disk.ts';
import { readEvents, RunRecorder } from './recorder.ts';
import { layoutsOf, runRounds } from './run-rounds.ts';
import type { RunResult } from './run-rounds.ts';
import { TraceWriter } from './trace.ts';

/** Options of an embedded run. */
export interface RunOptions {
  /** Path of the manifest. */
  readonly job: string;
  /** Folder for everything the run writes. */
  readonly out: string;
  /** Resume the run in `out`. */
  readonly resume: boolean;
  /** Number of compute processes that train clients in parallel; null means one, with all cores. */
  readonly workers: number | null;
  /** Threads of each compute process; null means all cores. */
  readonly threads: number | null;
  readonly provider: Provider;
  /** Run even if the estimate exceeds the available memory or the free disk space. */
  readonly force: boolean;
  /** Read the model's files again, even if their content is remembered. */
  readonly verify: boolean;
  /** Folder that remembers the content of files between processes; null: none. */
  readonly cache: string | null;
  /** Folder for batches and LoRA snapshots, to replay the run elsewhere. */
  readonly trace: string | null;
  /** Aborts when the user asks to stop: finish the step, write a checkpoint, return `interrupted`. */
  readonly signal: AbortSignal;
  /** Receives each run event once, when it is written to metrics.jsonl, and the live events in between. */
  readonly onEvent: (event: LiveEvent) => void;
  /** Receives the events of a resumed run up to its checkpoint, before any other event. */
  readonly onResume?: (events: readonly RunEvent[]) => void;
}

/**
 * Runs a job in this process, from its manifest to the adapter and the report in the --out folder.
 * @throws UserError before training begins, if the manifest, the model, the data or the folder is invalid
 */
export async function runJobInProcess(options: RunOptions): Promise<RunResult> {
  try {
    return await prepare(options);
  } catch (error) {
    if (options.signal.aborted && error === options.signal.reason) return { outcome: 'interrupted', round: null };
    throw error;
  }
}

async function prepare(options: RunOptions): Promise<RunResult> {
  const { resume, signal } = options;
  if (resume && options.trace !== null)
    throw new UserError('a trace cannot be resumed', { hint: 'Omit --trace or --resume.' });
  const requested = readJob(options.job);
  const baseDirectory = dirname(resolve(options.job));
  const folders = { model: baseDirectory, publicData: baseDirectory, clientData: baseDirectory };
  const model = await openModelDirectory(absoluteUri(requested.spec.model.uri, baseDirectory));
  const tokenizer = await loadTokenizer(model.path, model.config);
  const warnings = [...model.warnings];
  const warn = (message: string) => void warnings.push(message);
  const { job, data, directory, planned, available } = await emitWarningsOnFailure(
    warnings,
    (message) => options.onEvent({ event: 'warning', message }),
    async () => {
      const job = await resolveJobDate(requested, tokenizer, { out: options.out, resume, warn });
      const data = await loadJobData(job.spec, tokenizer, baseDirectory, warn);
      const context = planContext(options, data);
      const shape = await plannedModel(model, job.spec);
      const planned = plannedRun(shape, job.spec, context);
      const { available } = context;
      checkMemory(planned, { available, force: options.force }).forEach(warn);
      const { bytes } = estimateJob(shape, job.spec, context);
      const cache = runCache(options.out);
      const disk = remainingDisk('this run', cache, jobDisk(model.weights, shape, job.spec, bytes), job.spec);
      checkDisk(disk, freeBytes(cache), { force: options.force }).forEach(warn);
      await model.sha256(verificationIn(options.cache, { again: options.verify, signal }));
      const manifest = await runManifest(job, { model, tokenizer, data: data.sha256 });
      return { job, data, directory: openRunDirectory(options.out, manifest, { resume }), planned, available };
    },
  );
  const start = () => new Compute({ threads: options.threads ?? availableParallelism(), provider: options.provider });
  const computes: [Compute, ...Compute[]] = [start()];
  try {
    writeJobRecord(directory.root, job, folders);
    const stored = await withDtype(model, job.spec.model.dtype, directory.cache, { signal });
    for (let i = 1; i < (options.workers ?? 1); i++) computes.push(start());
    return await toldWithPlan(planned, `${formatBytes(available)} were available`, () =>
      federate({
        ...options,
        manifest: job,
        folders,
        stored,
        tokenizer,
        data,
        directory,
        computes,
        warnings,
      }),
    );
  } finally {
    for (const compute of computes) compute.close();
    directory.release();
  }
}

interface Preparation extends Omit<RunOptions, 'job'> {
  readonly manifest: FedBiOTJob;
  readonly folders: UriFolders;
  readonly stored: ModelDirectory;
  readonly tokenizer: Tokenizer;
  readonly data: JobData;
  readonly directory: RunDirectory;
  readonly computes: readonly [Compute, ...Compute[]];
  readonly warnings: readonly string[];
}

async function federate(preparation: Preparation): Promise<RunResult> {
  const { manifest: job, stored, data, directory, computes, onEvent } = preparation;
  const { spec } = job;
  const split = await federateModel(stored, spec, influenceOnPublicData(computes[0], data.publicSequences, spec.seed));
  const model = await formatEmulator(split, spec, { ...preparation, directory: stored, cache: directory.cache });
  const plan = estimateJob(model, spec, planContext(preparation, data));
  const place = { provider: preparation.provider, ownProcess: false };
  const trace = preparation.trace === null ? null : new TraceWriter(preparation.trace, model);
  const record = await RunRecorder.open({
    directory,
    layouts: layoutsOf(model),
    spec,
    partition: data.partition,
    onEvent,
  });
  if (record.from !== null) preparation.onResume?.(readEvents(directory.metrics));
  try {
    return await runRounds({
      ...preparation,
      job,
      model,
      compute: computes[0],
      place,
      record,
      plan,
      trace,
      onEvaluation: (done, total) => onEvent({ event: 'evaluating', done, total }),
      federate: async (coordination) => {
        const trainers = await loadTrainers({ spec, model, clients: data.clients, computes, place, trace });
        await rehearseAll([coordination.aligner, ...trainers]);
        return federateInProcess({
          ...coordination,
          trainers,
          onLocalStep: (step) => onEvent({ event: 'localStep', ...step }),
        });
      },
    });
  } finally {
    record.close();
  }
}

function planContext(
  { workers }: Pick<RunOptions, 'workers'>,
  { publicSequences }: Pick<JobData, 'publicSequences'>,
): EstimateContext {
  return { publicSequences: publicSequences.length, workers: workers ?? 1, available: availableMemory() };
}
