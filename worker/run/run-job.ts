import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { FedBiOTJob } from '../../crds/types.ts';
import { Compute } from '../engine/compute.ts';
import { UserError } from '../errors.ts';
import type { RunPlan, RunReport } from '../events.ts';
import { systemClock } from '../federation/clock.ts';
import { federateInProcess } from '../federation/in-process.ts';
import { ReceivedResults } from '../federation/received-results.ts';
import { openRunDirectory, type RunDirectory } from '../federation/run-directory.ts';
import { withDtype } from '../model/convert.ts';
import { openModelDirectory, type ModelDirectory } from '../model/directory.ts';
import { loadTokenizer, type Tokenizer } from '../model/tokenizer.ts';
import { scanFinite } from '../model/weights.ts';
import { formatBytes } from '../report/format.ts';
import type { LiveEvent } from '../report/progress-state.ts';
import { loadJobData, type JobData } from './job-data.ts';
import { federateModel, influenceOnPublicData, startingLora } from './job-model.ts';
import { availableMemory, planJob } from './job-plan.ts';
import { absoluteUri, readJob, writeJobRecord } from './job-record.ts';
import { loadRoles } from './roles.ts';
import { RunRecord } from './run-record.ts';
import { TraceWriter } from './trace.ts';
import { versions } from './versions.ts';

/** What a run is asked to do. */
export interface RunOptions {
  /** Path of the manifest. */
  readonly job: string;
  /** Folder for everything the run writes. */
  readonly out: string;
  /** Go on with the run in `out`. */
  readonly resume: boolean;
  /** Compute processes that train clients side by side; null: one, which has all cores. */
  readonly workers: number | null;
  /** Threads of each compute process; null: all cores. */
  readonly threads: number | null;
  readonly provider: 'cpu' | 'cuda';
  /** Folder for batches and LoRA snapshots, to replay the run elsewhere. */
  readonly trace: string | null;
  /** Aborts when the user asks to stop: finish the step, write a checkpoint, return `interrupted`. */
  readonly signal: AbortSignal;
  /** Hears every run event once, as it goes to metrics.jsonl, and what happens between them. */
  readonly onEvent: (event: LiveEvent) => void;
}

/** What came of it. A run that fails throws instead. */
export type RunResult =
  | { readonly outcome: 'succeeded'; readonly report: RunReport }
  | { readonly outcome: 'interrupted'; /** The round under way; null before the first. */ readonly round: number | null };

/**
 * Runs a job in this process, from its manifest to the adapter and the report in the --out folder.
 * @throws UserError for everything that is wrong with the manifest, the model, the data or the folder, before training begins
 */
export async function runJob(options: RunOptions): Promise<RunResult> {
  try {
    return await prepare(options);
  } catch (error) {
    if (options.signal.aborted && error === options.signal.reason) return { outcome: 'interrupted', round: null };
    throw error;
  }
}

async function prepare(options: RunOptions): Promise<RunResult> {
  const { resume, signal } = options;
  if (resume && options.trace !== null) throw new UserError('a trace cannot be resumed', { hint: 'Leave --trace or --resume out.' });
  const job = readJob(options.job);
  const baseDirectory = dirname(resolve(options.job));
  const model = await openModelDirectory(absoluteUri(job.spec.model.uri, baseDirectory));
  await scanFinite(model.weights, { signal });
  const tokenizer = await loadTokenizer(model.path);
  const warnings: string[] = [];
  const data = await loadJobData(job.spec, tokenizer, baseDirectory, (message) => warnings.push(message));
  const directory = openRunDirectory(options.out, await inputsOf(job, model, data), { resume });
  const start = () => new Compute({ threads: options.threads ?? availableParallelism(), provider: options.provider });
  const computes: [Compute, ...Compute[]] = [start()];
  try {
    writeJobRecord(directory.root, job, baseDirectory);
    const held = await withDtype(model, job.spec.model.dtype, directory.cache, { signal });
    for (let i = 1; i < (options.workers ?? 1); i++) computes.push(start());
    return await federate({ ...options, manifest: job, model: held, tokenizer, data, directory, computes, baseDirectory, warnings });
  } finally {
    for (const compute of computes) compute.close();
    directory.release();
  }
}

interface Preparation extends Omit<RunOptions, 'job'> {
  readonly manifest: FedBiOTJob;
  readonly model: ModelDirectory;
  readonly tokenizer: Tokenizer;
  readonly data: JobData;
  readonly directory: RunDirectory;
  readonly computes: readonly [Compute, ...Compute[]];
  readonly baseDirectory: string;
  readonly warnings: readonly string[];
}

async function federate(preparation: Preparation): Promise<RunResult> {
  const { manifest: job, data, directory, computes, baseDirectory, signal, onEvent, warnings } = preparation;
  const { spec } = job;
  const model = await federateModel(preparation.model, spec, influenceOnPublicData(computes[0], data.publicSequences, spec.seed));
  const plan = planJob(model, spec, { publicSequences: data.publicSequences.length, workers: computes.length, available: availableMemory() });
  const trace = preparation.trace === null ? null : new TraceWriter(preparation.trace, model);
  const layouts = { adapter: model.adapter.layout, emulator: model.emulator.layout };

  const record = await RunRecord.open({ directory, layouts, spec, partition: data.partition, onEvent });
  const { emit, from } = record;
  try {
    emit({
      event: 'run',
      job: job.metadata.name,
      method: spec.method,
      rounds: spec.federation.rounds,
      clients: spec.federation.clients,
      resumedFromRound: from?.progress.state.round ?? null,
      plan,
    });
    for (const message of [...warnings, ...record.warnings, ...memoryWarning(plan)]) emit({ event: 'warning', message });

    const { aligner, trainers, evaluator } = await loadRoles({
      spec,
      model,
      modelSha256: await preparation.model.sha256(),
      data,
      tokenizer: preparation.tokenizer,
      computes,
      cache: directory.cache,
      trace,
    });
    const outcome = await federateInProcess({
      settings: { job: job.metadata.name, ...spec },
      layouts,
      aligner,
      evaluator,
      trainers,
      received: new ReceivedResults(directory.received),
      emit,
      onEvaluation: (done, total) => onEvent({ event: 'evaluating', done, total }),
      onLocalStep: (step) => onEvent({ event: 'localStep', ...step }),
      trace,
      clock: systemClock,
      signal,
      checkpoints: { save: record.save },
      from,
      initial: startingLora(model, spec, baseDirectory),
      metricsBytes: () => record.metricsBytes(),
    });
    if (outcome.outcome === 'interrupted') {
      emit({ event: 'end', outcome: 'interrupted', message: `interrupted in round ${outcome.round}; go on with --resume` });
      return { outcome: 'interrupted', round: outcome.round };
    }
    const report = await record.finish(outcome.lora.adapter, absoluteUri(spec.model.uri, baseDirectory));
    return { outcome: 'succeeded', report };
  } catch (error) {
    emit({ event: 'end', outcome: 'failed', message: error instanceof Error ? error.message : String(error) });
    throw error;
  } finally {
    record.close();
  }
}

function memoryWarning({ memory: { run, available, fits } }: RunPlan): string[] {
  const advice = 'shorter sequences, smaller batches or fewer --workers need less';
  return fits ? [] : [`this run takes about ${formatBytes(run)} of memory, and ${formatBytes(available)} are free: ${advice}`];
}

async function inputsOf(job: FedBiOTJob, model: ModelDirectory, data: JobData) {
  const spec = createHash('sha256').update(JSON.stringify(job.spec)).digest('hex');
  return { job: job.metadata.name, sha256: { spec, model: await model.sha256(), ...data.sha256 }, versions: versions() };
}
