/**
 * Does one role's work in the first round of a job, alone in its processes, and prints its peak memory and times:
 *
 *   npx node bench/role.ts rounding|server|client|evaluation JOB --threads 2 --provider cpu
 */
import { rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Argument, Command } from 'commander';
import { positiveInteger, providerOption } from '../worker/commands/arguments.ts';
import type { FedBiOTJobSpec } from '../crds/types.ts';
import { Compute } from '../worker/engine/compute.ts';
import type { ComputeOptions } from '../worker/engine/compute.ts';
import { matrixProduct } from '../worker/engine/matrix-product.ts';
import { EmulatorAligner } from '../worker/training/alignment.ts';
import { sampledBatches } from '../worker/training/batches.ts';
import { ModelEvaluator } from '../worker/training/evaluation.ts';
import { AdapterTrainer } from '../worker/training/local-update.ts';
import { withDtype } from '../worker/model/convert.ts';
import { quantizeEmulator, TO_NEAREST } from '../worker/model/quantize.ts';
import { openModelDirectory } from '../worker/model/directory.ts';
import type { ModelDirectory } from '../worker/model/directory.ts';
import { loadTokenizer } from '../worker/tokenizer/tokenizer.ts';
import { loadJobData } from '../worker/run/job-data.ts';
import { federateModel, formatModel, startingLora } from '../worker/run/job-model.ts';
import type { FormatOptions } from '../worker/run/job-model.ts';
import { onPublicData } from '../worker/run/on-public-data.ts';
import type { OnPublicData } from '../worker/run/on-public-data.ts';
import { absoluteUri, readJob } from '../worker/run/job-manifest.ts';
import { STATES_MEMORY } from '../worker/training/teacher-states.ts';
import { peakOfChildren } from '../test/support/peak-memory.ts';

/**
 * Roles by their compute process. In a pod, rounding to 4 bits, alignment and evaluation share the server's. `rounding`
 * is that of one layer: the others need the same memory.
 */
const PLAYED_ROLES = ['rounding', 'server', 'client', 'evaluation'] as const;
export type PlayedRole = (typeof PLAYED_ROLES)[number];

export interface RoleMemory {
  /** Peak resident bytes of the main process and of the compute process. */
  readonly main: number;
  readonly compute: number;
  /** Peak bytes of the compute process that no file backs. */
  readonly anonymous: number;
}

export interface RoleResult extends RoleMemory {
  /** Seconds of the role's work, once it is loaded and rehearsed. */
  readonly seconds: number;
  /** Seconds of each optimizer step; none of an evaluation. */
  readonly steps: readonly number[];
}

async function play(role: PlayedRole, path: string, options: ComputeOptions): Promise<RoleResult> {
  const { result, peak: anonymous } = await peakOfChildren(() => work(role, path, options));
  return { ...result, anonymous };
}

async function work(role: PlayedRole, path: string, options: ComputeOptions): Promise<Omit<RoleResult, 'anonymous'>> {
  const { spec } = readJob(path);
  const baseDirectory = dirname(resolve(path));
  const directory = await openModelDirectory(absoluteUri(spec.model.uri, baseDirectory));
  const cache = `${path}.cache`;
  const tokenizer = await loadTokenizer(directory.path, directory.config);
  const data = await loadJobData(spec, tokenizer, baseDirectory, () => {});
  const compute = new Compute(options);
  const steps: number[] = [];
  let seconds = 0;
  const timed = async (action: () => Promise<unknown>) => {
    const started = performance.now();
    await action();
    seconds = (performance.now() - started) / 1000;
  };
  const { signal } = new AbortController();
  try {
    const { publicSequences } = data;
    const ignored = { onMeasured: () => {}, onRounded: () => {} };
    const measured = onPublicData({ compute, publicSequences, seed: spec.seed, signal, ...ignored });
    const { provider } = options;
    const stored = await withDtype(directory, spec.model.dtype, cache, { signal });
    const used = async () => {
      const main = process.resourceUsage().maxRSS * 1024;
      return { main, compute: (await compute.usage()).peakMemoryBytes, seconds, steps };
    };
    if (role === 'rounding') {
      await timed(() => roundLayer(stored, spec, measured, { cache: `${cache}.rounding`, provider, signal }));
      return await used();
    }
    // What the other roles take does not depend on how 4 bits were chosen.
    const toNearest = { ...measured, rounding: () => TO_NEAREST.Int4 };
    const { model } = await formatModel(stored, spec, toNearest, { cache, provider, signal });
    const batches = sampledBatches({
      ...data,
      alignment: spec.emulator.alignment,
      local: spec.federation.local,
      rounds: spec.federation.rounds,
      seed: spec.seed,
      shuffle: spec.data.shuffle,
    });
    const common = {
      round: 1,
      lora: startingLora(model, spec, baseDirectory),
      onSweep: () => {},
      onStep: ({ ms }: { ms: number }) => void steps.push(ms / 1000),
      signal,
    };
    if (role === 'server') {
      const pool = batches.publicOrder;
      const aligner = await EmulatorAligner.load({
        compute,
        model,
        spec: spec.emulator.alignment,
        seed: spec.seed,
        batches,
        pool,
        memoryBytes: STATES_MEMORY,
        disk: null,
      });
      await aligner.rehearse();
      await timed(() => aligner.align({ ...common, from: null }));
    } else if (role === 'client') {
      const trainer = await AdapterTrainer.load({
        compute,
        model,
        spec: spec.federation.local,
        seed: spec.seed,
        batches,
        pool: data.clients.flat(),
      });
      await trainer.rehearse();
      await timed(() => trainer.train({ ...common, client: 0 }));
    } else {
      const { heldOut, task } = data;
      if (heldOut === null) throw new Error('the job has no data to evaluate on');
      const evaluator = await ModelEvaluator.load({
        compute,
        model,
        spec: spec.evaluation,
        task,
        heldOut,
        tokenizer,
        memoryBytes: STATES_MEMORY,
      });
      await timed(() => evaluator.evaluate({ ...common, onProgress: () => {} }));
    }
    return await used();
  } finally {
    compute.close();
  }
}

/** Rounds the first layer of a job's emulator to 4 bits, into a new folder. */
async function roundLayer(
  directory: ModelDirectory,
  spec: FedBiOTJobSpec,
  { influence, rounding }: OnPublicData,
  { cache, provider, signal }: FormatOptions,
): Promise<void> {
  rmSync(cache, { recursive: true, force: true });
  const { split, ...model } = await federateModel(directory, spec, influence);
  const shortened = { ...model, split: { ...split, emulator: split.emulator.slice(0, 1) } };
  const options = {
    modelSha256: 'x',
    checkUnchanged: () => {},
    held: spec.model.dtype,
    product: matrixProduct(provider),
    signal,
  };
  await quantizeEmulator(shortened, 'Int4', cache, options, rounding(shortened));
}

if (import.meta.main) {
  const program = new Command()
    .addArgument(new Argument('<role>').choices(PLAYED_ROLES))
    .argument('<job>', 'manifest')
    .option('--threads <n>', 'threads to compute with', positiveInteger, 2)
    .addOption(providerOption())
    .parse();
  const [role, job] = program.processedArgs as [PlayedRole, string];
  console.log(JSON.stringify(await play(role, job, program.opts<ComputeOptions>())));
}
