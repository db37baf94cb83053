import { availableParallelism } from 'node:os';
import type { FedBiOTJob } from '../../crds/types.ts';
import { Compute } from '../engine/compute.ts';
import { estimateJob } from '../estimate/job-estimate.ts';
import type { EstimateContext } from '../estimate/job-estimate.ts';
import { federateInProcess } from '../federation/in-process.ts';
import { isHeldAs, withDtype } from '../model/convert.ts';
import type { ModelDirectory } from '../model/directory.ts';
import type { WatchedModel } from '../model/federated-model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { JobData } from './job-data.ts';
import { writeJobRecord } from './job-manifest.ts';
import type { UriFolders } from './job-manifest.ts';
import { formatModel, isUnquantized } from './job-model.ts';
import { loadTrainers, rehearseAll } from './load-roles.ts';
import { onPublicData } from './on-public-data.ts';
import { readEvents, RunRecorder } from './recorder.ts';
import { runCache } from './run-directory.ts';
import type { RunDirectory } from './run-directory.ts';
import type { RunOptions } from './run-options.ts';
import { layoutsOf, runRounds } from './run-rounds.ts';
import type { RunResult } from './run-rounds.ts';
import { TraceWriter } from './trace.ts';

/** A job whose manifest, data, memory and disk were checked. */
export interface CheckedJob extends Omit<RunOptions, 'job'> {
  readonly job: FedBiOTJob;
  readonly folders: UriFolders;
  readonly model: ModelDirectory;
  readonly tokenizer: Tokenizer;
  readonly data: JobData;
  readonly context: EstimateContext;
  readonly warnings: readonly string[];
  /** Opens the run's folder when the model's files are read and checked. */
  readonly openDirectory: () => Promise<RunDirectory>;
}

/** Loads a job's sessions while the model's files are read, then opens its folder and runs its rounds. */
export async function loadAndRun(checked: CheckedJob): Promise<RunResult> {
  const { job, model, provider, signal } = checked;
  const { dtype } = job.spec.model;
  const start = () => new Compute({ threads: checked.threads ?? availableParallelism(), provider });
  const computes: [Compute, ...Compute[]] = [start()];
  let directory: RunDirectory | null = null;
  try {
    for (let i = 1; i < (checked.workers ?? 1); i++) computes.push(start());
    // Converted weights are written into the run's folder.
    const isAsStored = isHeldAs(model, dtype) && isUnquantized(job.spec);
    const early = isAsStored ? startLoading(model, checked, computes) : null;
    directory = await checked.openDirectory();
    writeJobRecord(directory.root, job, checked.folders);
    const stored = await withDtype(model, dtype, directory.cache, { signal });
    const loading = early ?? startLoading(stored, checked, computes);
    return await federate({ ...checked, ...loading, stored, directory, computes });
  } finally {
    for (const compute of computes) compute.close();
    directory?.release();
  }
}

/** The first computes for the server as well. */
type Computes = readonly [Compute, ...Compute[]];

interface Loading {
  readonly split: Promise<WatchedModel & { readonly trace: TraceWriter | null }>;
  readonly trainers: ReturnType<typeof loadTrainers>;
}

/** Splits the model and loads the clients' sessions. The caller can do other work meanwhile. */
function startLoading(
  stored: ModelDirectory,
  { job: { spec }, data, provider, out, trace: folder, signal, onEvent }: CheckedJob,
  computes: Computes,
): Loading {
  const split = (async () => {
    const { publicSequences } = data;
    const onRounded = (done: number, total: number) => onEvent({ event: 'quantizing', done, total });
    const onMeasured = (done: number) => onEvent({ event: 'measuring', done });
    const told = { onMeasured, onRounded };
    const measured = onPublicData({ compute: computes[0], publicSequences, seed: spec.seed, signal, ...told });
    const formatted = await formatModel(stored, spec, measured, { cache: runCache(out), provider, signal });
    return { ...formatted, trace: folder === null ? null : new TraceWriter(folder, formatted.model) };
  })();
  const place = { provider, ownProcess: false };
  const trainers = split.then((parts) => loadTrainers({ ...parts, spec, clients: data.clients, computes, place }));
  // A failure is reported when they are awaited, unless something else has failed before.
  trainers.catch(() => {});
  return { split, trainers };
}

interface Preparation extends Omit<CheckedJob, 'model' | 'trace' | 'openDirectory'>, Loading {
  readonly stored: ModelDirectory;
  readonly directory: RunDirectory;
  readonly computes: Computes;
}

async function federate(preparation: Preparation): Promise<RunResult> {
  const { job, data, directory, computes, onEvent } = preparation;
  const { spec } = job;
  const { model, checkUnchanged, trace } = await preparation.split;
  const plan = estimateJob(model, spec, preparation.context);
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
      model,
      checkUnchanged,
      compute: computes[0],
      place: { provider: preparation.provider, ownProcess: false },
      record,
      plan,
      trace,
      onSweep: (sweep) => onEvent({ event: 'sweep', ...sweep }),
      onEvaluation: (done, total) => onEvent({ event: 'evaluating', done, total }),
      federate: async (coordination) => {
        const trainers = await preparation.trainers;
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
