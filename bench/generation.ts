/**
 * Measures greedy generation of one text, with a model's weights as stored and in 8 bits. Without a model, it makes one
 * with the shape of LLaMA-2-7B and random weights in float16:
 *
 *   npm run bench:generation -- [--model DIR] [--tokens 16] [--threads 2] > table.md
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { peakOfChildren } from '../test/support/peak-memory.ts';
import { LLAMA_2_7B, writeLlama } from '../test/support/llama-shape.ts';
import { positiveInteger } from '../worker/commands/arguments.ts';
import { Compute } from '../worker/engine/compute.ts';
import { float32 } from '../worker/engine/graph/tensor.ts';
import { matrixProduct } from '../worker/engine/matrix-product.ts';
import { Generator } from '../worker/inference/generator.ts';
import { openModelDirectory } from '../worker/model/directory.ts';
import type { FederatedModel } from '../worker/model/federated-model.ts';
import { withComputeWeights } from '../worker/model/federated-model.ts';
import { quantizeAll } from '../worker/model/quantize.ts';
import { formatBytes } from '../worker/report/format.ts';
import { wholeModel } from '../worker/run/whole-model.ts';
import { describeMachine, machine } from './machine.ts';
import { median, table } from './statistics.ts';

const PROMPT = Array.from({ length: 32 }, (_, i) => 1 + i);

interface Options {
  readonly model?: string;
  readonly tokens: number;
  readonly threads: number;
}

async function main({ model, tokens, threads }: Options): Promise<void> {
  const here = describeMachine(machine());
  const folder = mkdtempSync(join(tmpdir(), 'fedbiot-generation-'));
  try {
    const path = model ?? join(folder, 'model');
    if (model === undefined) await writeLlama(path, LLAMA_2_7B);
    const directory = await openModelDirectory(path);
    const stored = wholeModel(directory, null);
    const options = { modelSha256: '', checkUnchanged: () => {}, held: 'auto', product: matrixProduct('cpu') };
    const { computed } = await quantizeAll(directory, folder, options);
    const formats = { 'as stored': stored, Int8: withComputeWeights({ ...stored, ...computed }) };
    const rows: string[][] = [];
    for (const [name, held] of Object.entries(formats)) rows.push([name, ...(await costOf(held, tokens, threads))]);
    process.stdout.write(`${here} ${threads} threads, a prompt of ${PROMPT.length} tokens, ${tokens} new ones.\n\n`);
    process.stdout.write(
      table(['weights', 'prompt and loading, s', 'each further token, s, median (least)', 'memory, most'], rows),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function costOf(model: FederatedModel, tokens: number, threads: number): Promise<string[]> {
  const compute = new Compute({ threads, provider: 'cpu' });
  try {
    const generator = await Generator.load(compute, model, 'teacher');
    const secondsOf = async (maxNewTokens: number) => {
      const began = performance.now();
      await generator.generate([PROMPT], { maxNewTokens, stopTokenIds: [] }, { adapter: float32(new Float32Array(0)) });
      return (performance.now() - began) / 1000;
    };
    const first = await secondsOf(1);
    const each: number[] = [];
    const { peak } = await peakOfChildren(async () => {
      const prompt = Math.min(await secondsOf(1), await secondsOf(1));
      for (let i = 0; i < 3; i++) each.push(((await secondsOf(1 + tokens)) - prompt) / tokens);
    });
    return [first.toFixed(1), `${median(each).toFixed(2)} (${Math.min(...each).toFixed(2)})`, formatBytes(peak)];
  } finally {
    compute.close();
  }
}

const options = new Command('bench:generation')
  .option('--model <dir>', 'Hugging Face directory')
  .option('--tokens <n>', 'tokens to generate after the first', positiveInteger, 16)
  .option('--threads <n>', 'threads to compute with', positiveInteger, availableParallelism())
  .parse()
  .opts<Options>();
await main(options);
