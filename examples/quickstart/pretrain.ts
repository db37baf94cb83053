/**
 * Pretrains the quickstart's model from scratch, with the project's engine:
 *
 *   npx node examples/quickstart/pretrain.ts --out examples/quickstart/model
 *
 * If it is stopped, start it again with the same options to continue from its last checkpoint.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { positiveInteger } from '../../worker/commands/arguments.ts';
import { collate } from '../../worker/data/batch.ts';
import { Compute } from '../../worker/engine/compute.ts';
import type { OptimizerOptions } from '../../worker/engine/optimizer.ts';
import { int32 } from '../../worker/engine/graph/tensor.ts';
import { Trainer } from '../../worker/engine/trainer.ts';
import type { TrainerState } from '../../worker/engine/trainer.ts';
import { learningRateAt } from '../../worker/training/steps.ts';
import { labelFeeds, placeFeeds, tokenIds } from '../../worker/model/batch-feeds.ts';
import { parseDecoderConfig } from '../../worker/model/config/config.ts';
import {
  float32Tensor,
  readSafetensorsHeader,
  readTensor,
  writeSafetensors,
} from '../../worker/safetensors/safetensors.ts';
import type { TensorData } from '../../worker/safetensors/safetensors.ts';
import { loadTokenizer } from '../../worker/tokenizer/tokenizer.ts';
import type { TensorLayout } from '../../worker/safetensors/tensor-layout.ts';
import { randomStream } from '../../worker/random.ts';
import { probes } from './data-sets.ts';
import { encodeRecords } from './encode.ts';
import { exactMatch } from './exact-match.ts';
import { accuracyProgram, initialParameters, parameterLayout, pretrainingProgram } from './pretraining-program.ts';
import { publicRecord } from './tasks.ts';
import { writeTokenizer } from './tokenizer.ts';

const SEED = 0;
const BATCH_SIZE = 64;
const REPORT_STEPS = 200;
const OPTIMIZER: OptimizerOptions = {
  kind: 'AdamW',
  betas: [0.9, 0.98],
  epsilon: 1e-8,
  weightDecay: 0.01,
  momentum: 0,
  clipNorm: 1,
};
const RATE = { learningRate: 2e-3, schedule: 'Cosine', warmupSteps: 100 } as const;

/** Twelve narrow layers: deep enough to drop half of them, small enough to be trained in half an hour. */
const SHAPE = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 128,
  intermediate_size: 320,
  num_hidden_layers: 12,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
};

interface Options {
  out: string;
  steps: number;
  threads: number;
}

async function pretrain({ out, steps, threads }: Options): Promise<void> {
  mkdirSync(out, { recursive: true });
  const watched = Object.entries(probes());
  const corpus = watched
    .flatMap(([, records]) => records)
    .flatMap(({ instruction, input, output }) => [instruction, input, output]);
  const { size, eos, pad } = writeTokenizer(out, corpus);
  const configJson = {
    ...SHAPE,
    vocab_size: size,
    bos_token_id: null,
    eos_token_id: eos,
    pad_token_id: pad,
    torch_dtype: 'bfloat16',
  };
  writeFileSync(join(out, 'config.json'), `${JSON.stringify(configJson, null, 2)}\n`);
  const config = parseDecoderConfig(configJson, join(out, 'config.json'));
  const tokenizer = await loadTokenizer(out);
  const layout = parameterLayout(config);

  const compute = new Compute({ threads, provider: 'cpu' });
  const trainer = await Trainer.create(
    compute,
    await compute.load(pretrainingProgram(config, layout)),
    layout.size,
    OPTIMIZER,
    'pretraining',
  );
  const scorer = await compute.load(accuracyProgram(config, layout));
  const checkpoint = join(out, 'pretraining.safetensors');
  const from = readCheckpoint(checkpoint);
  await trainer.start(from ?? initialParameters(config, layout, randomStream(SEED, 'initial')));
  console.log(`${layout.size} parameters, ${from?.step ?? 0} of ${steps} steps done`);

  let losses: number[] = [];
  let tokens = 0;
  let started = performance.now();
  for (let step = from?.step ?? 0; step < steps; step++) {
    const stream = randomStream(SEED, 'pretraining', step);
    const batch = collate(
      encodeRecords(
        Array.from({ length: BATCH_SIZE }, () => publicRecord(stream)),
        tokenizer,
      ),
      pad,
    );
    const rate = learningRateAt(RATE, step, steps);
    losses.push(
      (await trainer.step([{ ids: int32(tokenIds(batch)), ...placeFeeds(batch), ...labelFeeds(batch) }], rate)).loss,
    );
    tokens += batch.tokens;
    if ((step + 1) % REPORT_STEPS !== 0 && step + 1 !== steps) continue;
    const seconds = (performance.now() - started) / 1000;
    const state = await trainer.state();
    writeCheckpoint(checkpoint, state);
    const loss = losses.reduce((a, b) => a + b, 0) / losses.length;
    console.log(`step ${step + 1}: loss ${loss.toFixed(4)}, ${Math.round(tokens / seconds)} tokens/s`);
    for (const [name, records] of watched) {
      const right = await exactMatch(scorer, state.parameters, records, tokenizer);
      console.log(
        `  ${name}: ${[...right].map(([category, percent]) => `${category} ${percent.toFixed(0)} %`).join(', ')}`,
      );
    }
    losses = [];
    tokens = 0;
    started = performance.now();
  }
  writeModel(join(out, 'model.safetensors'), (await trainer.state()).parameters, layout);
  rmSync(checkpoint, { force: true });
  compute.close();
}

/** Writes the weights in bfloat16, which halves the size and loses no accuracy. */
function writeModel(path: string, parameters: Float32Array, layout: TensorLayout): void {
  const tensors = layout.slices.map(({ name, shape, offset, size }): TensorData => {
    return { name, dtype: 'BF16', shape, data: toBfloat16(parameters.subarray(offset, offset + size)) };
  });
  writeSafetensors(path, tensors, { format: 'pt' });
}

/** The upper halves of float32 values, rounded to nearest, ties to even. */
function toBfloat16(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  const halves = Uint16Array.from(bits, (value) => (value + 0x7fff + ((value >>> 16) & 1)) >>> 16);
  return new Uint8Array(halves.buffer);
}

function writeCheckpoint(path: string, { step, parameters, moments }: TrainerState): void {
  const vectors = [parameters, ...moments].map((vector, i) => float32Tensor(`vector${i}`, [vector.length], vector));
  writeSafetensors(path, vectors, { step: String(step) });
}

function readCheckpoint(path: string): TrainerState | null {
  if (!existsSync(path)) return null;
  const { tensors, metadata } = readSafetensorsHeader(path);
  const vectors = Array.from({ length: tensors.size }, (_, i) => readTensor(path, tensors.get(`vector${i}`)!));
  return { step: Number(metadata['step']), parameters: vectors[0]!, moments: vectors.slice(1) };
}

const options = new Command()
  .requiredOption('--out <directory>', 'where the model is written')
  .option('--steps <count>', 'optimizer steps', positiveInteger, 4000)
  .option('--threads <count>', 'number of threads, which affects the last bits of the weights', positiveInteger, 1)
  .parse()
  .opts<Options>();
await pretrain(options);
