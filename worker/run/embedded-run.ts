import { dirname, resolve } from 'node:path';
import { UserError } from '../../crds/facts/user-error.ts';
import { freeBytes } from '../files/free-space.ts';
import { openRunDirectory, runCache } from './run-directory.ts';
import { openModelDirectory } from '../model/directory.ts';
import { loadTokenizer } from '../tokenizer/tokenizer.ts';
import { formatBytes } from '../report/format.ts';
import { loadAndRun } from './embedded-federation.ts';
import { emitWarningsOnFailure, loadJobData } from './job-data.ts';
import type { JobData } from './job-data.ts';
import { resolveJobDate } from './job-date.ts';
import { checkDisk } from '../estimate/job-disk.ts';
import { estimateJob } from '../estimate/job-estimate.ts';
import type { EstimateContext } from '../estimate/job-estimate.ts';
import { absoluteUri, readJob } from './job-manifest.ts';
import { availableMemory, checkMemory, toldWithPlan } from '../estimate/memory-check.ts';
import { plannedRun } from '../estimate/planned-memory.ts';
import { plannedModel } from './estimate-job.ts';
import { runManifest } from './input-hashes.ts';
import { remainingDisk } from './run-disk.ts';
import type { RunOptions } from './run-options.ts';
import type { RunResult } from './run-rounds.ts';
import { whileVerifying } from './while-verifying.ts';

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
  const { out, resume } = options;
  if (resume && options.trace !== null)
    throw new UserError('a trace cannot be resumed', { hint: 'Omit --trace or --resume.' });
  const requested = readJob(options.job);
  const baseDirectory = dirname(resolve(options.job));
  const model = await openModelDirectory(absoluteUri(requested.spec.model.uri, baseDirectory));
  const tokenizer = await loadTokenizer(model.path, model.config);
  const warnings = [...model.warnings];
  const warn = (message: string) => void warnings.push(message);
  const warned = <T>(work: () => Promise<T>) =>
    emitWarningsOnFailure(warnings, (message) => options.onEvent({ event: 'warning', message }), work);
  const { job, data, context, planned } = await warned(async () => {
    const job = await resolveJobDate(requested, tokenizer, { out, resume, warn });
    const data = await loadJobData(job.spec, tokenizer, baseDirectory, warn);
    const context = planContext(options, data);
    const shape = await plannedModel(model, job.spec);
    const plan = estimateJob(shape, job.spec, context);
    const planned = plannedRun(shape, job.spec, context, plan);
    checkMemory(planned, { available: context.available, force: options.force }).forEach(warn);
    const cache = runCache(out);
    const { bytes } = plan;
    const disk = remainingDisk('this run', cache, { stored: model.weights, model: shape, bytes }, job.spec);
    checkDisk(disk, freeBytes(cache), { force: options.force }).forEach(warn);
    return { job, data, context, planned };
  });
  return whileVerifying(model, options, (verified) => {
    const openDirectory = () =>
      warned(async () => {
        await verified;
        return openRunDirectory(
          out,
          await runManifest(job, { model, tokenizer, data: data.sha256, provider: options.provider }),
          { resume },
        );
      });
    const folders = { model: baseDirectory, publicData: baseDirectory, clientData: baseDirectory };
    return toldWithPlan(planned, `${formatBytes(context.available)} were available`, () =>
      loadAndRun({ ...options, job, folders, model, tokenizer, data, context, warnings, openDirectory }),
    );
  });
}

function planContext(
  { workers, provider }: Pick<RunOptions, 'workers' | 'provider'>,
  { publicSequences, heldOut }: Pick<JobData, 'publicSequences' | 'heldOut'>,
): EstimateContext {
  const heldOutSequences = heldOut?.sequences.length ?? 0;
  return {
    publicSequences: publicSequences.length,
    heldOutSequences,
    workers: workers ?? 1,
    provider,
    available: availableMemory(),
  };
}
