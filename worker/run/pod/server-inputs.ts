import type { JobProgress } from '../../../crds/facts/progress.ts';
import { checkDisk } from '../../estimate/job-disk.ts';
import { estimateJob } from '../../estimate/job-estimate.ts';
import { availableMemory, checkPodMemory, requiredMemory } from '../../estimate/memory-check.ts';
import type { PlannedMemory } from '../../estimate/memory-check.ts';
import { plannedPod } from '../../estimate/planned-memory.ts';
import { freeBytes } from '../../files/free-space.ts';
import { openModelDirectory } from '../../model/directory.ts';
import type { ModelDirectory } from '../../model/directory.ts';
import type { FederatedModel } from '../../model/federated-model.ts';
import { loadTokenizer } from '../../tokenizer/tokenizer.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { verificationIn } from '../../safetensors/checked-content.ts';
import { emitWarningsOnFailure, loadServerData } from '../job-data.ts';
import type { ServerData } from '../job-data.ts';
import { plannedModel } from '../estimate-job.ts';
import { absoluteUri } from '../job-manifest.ts';
import type { UriFolders } from '../job-manifest.ts';
import { runCache } from '../run-directory.ts';
import { remainingDisk } from '../run-disk.ts';
import type { Pod } from './context.ts';
import { uriFolders } from './context.ts';

/** The inputs of a server: the full model, public data and evaluation data, never the clients' data. */
export interface ServerInputs {
  readonly folders: UriFolders;
  readonly model: ModelDirectory;
  readonly tokenizer: Tokenizer;
  readonly data: ServerData;
  /** Warnings, such as about records that were truncated or left out. */
  readonly warnings: readonly string[];
  /** The memory of this pod. */
  readonly planned: PlannedMemory;
}

/** What the pods of a job need, by the headers of the model's files. */
export interface ServerPlan extends Pick<ServerInputs, 'folders' | 'model' | 'planned'> {
  /** The model as the job holds it, without weights. */
  readonly shape: FederatedModel;
  /** Bytes of memory that a pod of each role needs at least. */
  readonly memory: NonNullable<JobProgress['memory']>;
}

/** @throws UserError if the model is invalid, or the job does not fit it */
export async function planServer({ context, job: { spec } }: Pod): Promise<ServerPlan> {
  const folders = uriFolders(spec, context.folders);
  const model = await openModelDirectory(absoluteUri(spec.model.uri, folders.model));
  const shape = await plannedModel(model, spec);
  const planned = plannedPod(shape, spec, 'server');
  const client = requiredMemory(plannedPod(shape, spec, 'client').needed);
  return { folders, model, shape, planned, memory: { server: requiredMemory(planned.needed), client } };
}

/**
 * Checks and reads the inputs. Whether memory and disk suffice is checked before any weight is read.
 * @throws UserError if the model or the data is invalid, or the pod's memory limit or its disk is too small
 */
export async function openServerInputs(
  { context, job: { spec }, log }: Pod,
  { folders, model, shape, planned }: ServerPlan,
): Promise<ServerInputs> {
  for (const warning of checkPodMemory(planned, 'spec.server.resources.limits.memory')) log.warn(warning);
  // Hidden states that do not fit are computed again, and their number follows from the data.
  const unread = { publicSequences: 0, heldOutSequences: Infinity, workers: 1, available: availableMemory() };
  const { bytes } = estimateJob(shape, spec, { ...unread, provider: context.provider });
  const cache = runCache(context.folders.output);
  const disk = remainingDisk('this server pod', cache, { stored: model.weights, model: shape, bytes }, spec);
  checkDisk(disk, freeBytes(cache));
  const warnings = [...model.warnings];
  const tokenised = async () => {
    const tokenizer = await loadTokenizer(model.path, model.config);
    const data = await emitWarningsOnFailure(
      warnings,
      (message) => log.warn(message),
      () => loadServerData(spec, tokenizer, folders.publicData, (message) => warnings.push(message)),
    );
    return { tokenizer, data };
  };
  const verification = verificationIn(cache, { signal: context.signal });
  const [{ tokenizer, data }] = await Promise.all([tokenised(), model.sha256(verification)]);
  return { folders, model, tokenizer, data, warnings, planned };
}
