/**
 * Does one role's work in the first round of a job, alone in its processes as in a pod, and prints its peak memory:
 *
 *   npx node bench/role.ts server|client JOB --threads 2 --provider cpu
 */
import { ROLES } from '../crds/facts/role.ts';
import type { Role } from '../crds/facts/role.ts';
import { dirname, resolve } from 'node:path';
import { Argument, Command } from 'commander';
import { positiveInteger, providerOption } from '../worker/commands/arguments.ts';
import { Compute } from '../worker/engine/compute.ts';
import type { ComputeOptions } from '../worker/engine/compute.ts';
import { EmulatorAligner } from '../worker/training/alignment.ts';
import { sampledBatches } from '../worker/training/batches.ts';
import { AdapterTrainer } from '../worker/training/local-update.ts';
import { openModelDirectory } from '../worker/model/directory.ts';
import { loadTokenizer } from '../worker/tokenizer/tokenizer.ts';
import { loadJobData } from '../worker/run/job-data.ts';
import { federateModel, influenceOnPublicData, startingLora } from '../worker/run/job-model.ts';
import { absoluteUri, readJob } from '../worker/run/job-manifest.ts';
import { STATES_MEMORY } from '../worker/training/teacher-states.ts';

/** Peak resident bytes of the main process and of the compute process. */
export interface RoleMemory {
  readonly main: number;
  readonly compute: number;
}

async function play(role: Role, path: string, options: ComputeOptions): Promise<RoleMemory> {
  const { spec } = readJob(path);
  const baseDirectory = dirname(resolve(path));
  const directory = await openModelDirectory(absoluteUri(spec.model.uri, baseDirectory));
  const data = await loadJobData(spec, await loadTokenizer(directory.path, directory.config), baseDirectory, () => {});
  const compute = new Compute(options);
  try {
    const model = await federateModel(directory, spec, influenceOnPublicData(compute, data.publicSequences, spec.seed));
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
      onStep: () => {},
      signal: new AbortController().signal,
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
      await aligner.align({ ...common, from: null });
    } else {
      const trainer = await AdapterTrainer.load({
        compute,
        model,
        spec: spec.federation.local,
        seed: spec.seed,
        batches,
        pool: data.clients.flat(),
      });
      await trainer.rehearse();
      await trainer.train({ ...common, client: 0 });
    }
    return { main: process.resourceUsage().maxRSS * 1024, compute: (await compute.usage()).peakMemoryBytes };
  } finally {
    compute.close();
  }
}

if (import.meta.main) {
  const program = new Command()
    .addArgument(new Argument('<role>').choices(ROLES))
    .argument('<job>', 'manifest')
    .option('--threads <n>', 'threads to compute with', positiveInteger, 2)
    .addOption(providerOption())
    .parse();
  const [role, job] = program.processedArgs as [Role, string];
  console.log(JSON.stringify(await play(role, job, program.opts<ComputeOptions>())));
}
