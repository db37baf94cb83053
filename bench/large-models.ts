/**
 * Evaluates models with the shapes of LLaMA 2, and aligns and trains them for one step. Only the first, the second and
 * the last layer have random weights. The others are zeros, which take no space on the disk and are read from none:
 *
 * npm run bench:large -- --out FOLDER [--shape 7B 13B 70B] [--tokens 64] [--layers 8] [--threads 2] > table.md
 */
import { readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { parseManifest } from '../crds/parse.ts';
import { childrenOf, peakOfChildren } from '../test/support/peak-memory.ts';
import { LLAMA_2_13B, LLAMA_2_70B, LLAMA_2_7B, writeSparseLlama } from '../test/support/llama-shape.ts';
import { positiveInteger } from '../worker/commands/arguments.ts';
import { sequenceOf } from '../worker/data/sequence.ts';
import { Compute } from '../worker/engine/compute.ts';
import { openModelDirectory } from '../worker/model/directory.ts';
import { randomStream } from '../worker/random.ts';
import { federateModel, startingLora } from '../worker/run/job-model.ts';
import { tasks } from '../worker/tasks/registry.ts';
import { loadTokenizer } from '../worker/tokenizer/tokenizer.ts';
import { EmulatorAligner } from '../worker/training/alignment.ts';
import { ModelEvaluator } from '../worker/training/evaluation.ts';
import { AdapterTrainer } from '../worker/training/local-update.ts';
import { STATES_MEMORY } from '../worker/training/teacher-states.ts';
import { describeMachine, machine } from './machine.ts';
import { table } from './statistics.ts';

const SHAPES = { '7B': LLAMA_2_7B, '13B': LLAMA_2_13B, '70B': LLAMA_2_70B } as const;
type ShapeName = keyof typeof SHAPES;

interface Options {
  readonly out: string;
  readonly shape: readonly ShapeName[];
  readonly tokens: number;
  readonly layers?: number;
  readonly threads: number;
}

/** Texts of the evaluation. */
const TEXTS = 2;
const GIB = 2 ** 30;

/** Measures one shape: rows of the table. */
async function measure(name: ShapeName, { out, tokens, layers, threads }: Options): Promise<string[][]> {
  const shape = { ...SHAPES[name], ...(layers === undefined ? {} : { layers }) };
  const folder = join(out, name);
  await writeSparseLlama(folder, shape, [0, 1, shape.layers - 1]);
  const compute = new Compute({ threads, provider: 'cpu' });
  try {
    const directory = await openModelDirectory(folder);
    const spec = jobOf(tokens);
    const model = await federateModel(directory, spec, () => Promise.reject(new Error('uniform')));
    const random = randomStream(1, 'large models');
    const pool = Array.from({ length: TEXTS }, () => {
      const ids = Array.from({ length: tokens }, () => random.below(model.config.vocabSize));
      return sequenceOf(ids, ids);
    });
    const first = pool.slice(0, 1);
    const batches = { publicOrder: pool, alignment: () => first, local: () => [first] };
    const common = { compute, model, batches, pool, seed: 0, memoryBytes: STATES_MEMORY };
    const lora = startingLora(model, spec, '.');
    const signal = new AbortController().signal;
    const works: Readonly<Record<string, () => Promise<unknown>>> = {
      [`loss of the full model, ${TEXTS} texts`]: async () => {
        const evaluator = await ModelEvaluator.load({
          ...common,
          spec: spec.evaluation,
          task: tasks.loss,
          heldOut: { sequences: pool, prompts: [] },
          tokenizer: await loadTokenizer(folder),
        });
        return evaluator.score('teacher', lora.adapter, lora.emulator, signal);
      },
      'alignment, 1 step': async () => {
        const aligner = await EmulatorAligner.load({ ...common, spec: spec.emulator.alignment, disk: null });
        return aligner.align({ round: 1, lora, from: null, onStep: () => {}, onSweep: () => {}, signal });
      },
      'client, 1 step': async () => {
        const trainer = await AdapterTrainer.load({ ...common, spec: spec.federation.local });
        return trainer.train({ round: 1, client: 0, lora, onStep: () => {}, onSweep: () => {}, signal });
      },
    };
    const rows: string[][] = [];
    for (const [work, play] of Object.entries(works)) rows.push([`${name}, ${work}`, ...(await costOf(compute, play))]);
    return rows;
  } finally {
    compute.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A job of one alignment step and one client step, with half of the teacher's layers in the emulator. */
function jobOf(tokens: number) {
  const lora = '{rank: 8, targets: [q_proj, v_proj]}';
  const { spec } = parseManifest(
    `{apiVersion: fedbiot.io/v1alpha1, kind: FedBiOTJob, metadata: {name: large}, spec: {
      model: {uri: m}, data: {train: {uri: t}, public: {uri: p}, eval: {uri: e}}, adapter: {layers: 2, lora: ${lora}},
      emulator: {layerDropRate: 0.5, layerSelection: Uniform,
        alignment: {batchSize: 1, sequenceLength: ${tokens}, initialSteps: 1, klWeight: 0, lora: ${lora}}},
      evaluation: {task: loss}, federation: {rounds: 1, local: {batchSize: 1, sequenceLength: ${tokens}, steps: 1}}}}`,
    'large',
  );
  return spec;
}

/** Of the compute process: seconds, CPU seconds, the most memory that no file backs, and what it read from disk. */
async function costOf(compute: Compute, play: () => Promise<unknown>): Promise<string[]> {
  const [{ cpuSeconds }, read, began] = [await compute.usage(), bytesRead(), performance.now()];
  const { peak } = await peakOfChildren(play);
  const seconds = (performance.now() - began) / 1000;
  const used = (await compute.usage()).cpuSeconds - cpuSeconds;
  return [seconds.toFixed(0), used.toFixed(0), (peak / GIB).toFixed(2), ((bytesRead() - read) / GIB).toFixed(1)];
}

function bytesRead(): number {
  const files = childrenOf(process.pid).map((pid) => readFileSync(`/proc/${pid}/io`, 'utf8'));
  return files.reduce((sum, file) => sum + Number(/^read_bytes: (\d+)$/m.exec(file)?.[1]), 0);
}

const options = new Command()
  .requiredOption('--out <dir>', 'folder for the models, of up to 7 GiB each, which are removed')
  .addOption(new Option('--shape <names...>', 'shapes').choices(Object.keys(SHAPES)).default(Object.keys(SHAPES)))
  .option('--tokens <n>', 'tokens of a sequence', positiveInteger, 64)
  .option('--layers <n>', 'fewer layers than the shape has, for a trial', positiveInteger)
  .option('--threads <n>', 'threads to compute with', positiveInteger, availableParallelism())
  .parse()
  .opts<Options>();
const here = describeMachine(machine());
const rows: string[][] = [];
for (const name of options.shape) rows.push(...(await measure(name, options)));
process.stdout.write(`${here} Sequences of ${options.tokens} tokens.\n\n`);
process.stdout.write(
  table(['work', 'seconds', 'CPU seconds', 'anonymous memory, most, GiB', 'read from disk, GiB'], rows),
);
