// Whole federations compared step by step with bench/torch_round.py (PyTorch + PEFT in float64; test/oracle/round.py).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import type { AlignmentSpec, LocalSpec, LoraSpec, OptimizerSpec } from '../../crds/types.ts';
import { sequenceOf } from '../../worker/data/sequence.ts';
import type { Sequence } from '../../worker/data/sequence.ts';
import { federatedAverage } from '../../worker/federation/aggregation.ts';
import { EmulatorAligner } from '../../worker/training/alignment.ts';
import type { BatchSource } from '../../worker/training/batches.ts';
import type { LoraState } from '../../worker/federation/contracts.ts';
import { AdapterTrainer } from '../../worker/training/local-update.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import { loraLayout } from '../../worker/model/lora/layout.ts';
import type { TensorLayout } from '../../worker/safetensors/tensor-layout.ts';
import { fixtureTensors, numbers, relativeError } from '../support/fixture-tensors.ts';
import { testCompute } from '../support/test-compute.ts';

/** Rounding changes losses and adapters by about 2e-6 (relative); a missing term changes them by 6e-3 or more. */
const TOLERANCE = 1e-4;
const fixtures = new URL('../fixtures/', import.meta.url).pathname;
const round = (name: string) => join(fixtures, 'round', name);

interface Case {
  readonly name: string;
  readonly batches: string;
  readonly emulator: number[];
  readonly adapter: number[];
  readonly options: {
    readonly lora_r: number;
    readonly lora_alpha: number;
    readonly targets: string;
    readonly optimizer: 'adamw' | 'sgd';
    readonly lr: number;
    readonly align_lr?: number;
    readonly kd_weight: number;
    readonly prox_weight: number;
    readonly similarity?: string;
    readonly betas?: string;
    readonly eps?: number;
    readonly weight_decay?: number;
    readonly clip_norm?: number;
  };
  readonly steps: {
    readonly phase: 'align' | 'client';
    readonly round: number;
    readonly client: number;
    readonly step: number;
    readonly loss: number;
  }[];
}

interface RecordedBatch {
  readonly phase: 'align' | 'client';
  readonly round: number;
  readonly client: number;
  readonly step: number;
  readonly input_ids: number[][];
  readonly labels: number[][];
  readonly attention_mask: number[][];
}

const index = JSON.parse(readFileSync(round('index.json'), 'utf8')) as {
  layer: { name: string; shape: number[] }[];
  cases: Case[];
};
const compute = testCompute();
t.teardown(() => compute.close());
const directory = await openModelDirectory(join(fixtures, 'families/llama2'));
const initial = fixtureTensors(round('init_lora.safetensors'));

for (const recorded of index.cases) {
  t.test(recorded.name, async (t) => {
    const { options } = recorded;
    const lora: LoraSpec = {
      rank: options.lora_r,
      alpha: options.lora_alpha,
      dropout: 0,
      targets: options.targets.split(',') as LoraSpec['targets'],
    };
    const part = (layers: number[]) => ({
      layout: loraLayout(directory.config, layers, lora),
      scale: lora.alpha / lora.rank,
      dropout: 0,
    });
    const teacher = Array.from({ length: directory.config.layers - recorded.adapter.length }, (_, i) => i);
    const model: FederatedModel = {
      config: directory.config,
      weights: directory.weights,
      split: {
        front: [],
        teacher,
        emulator: recorded.emulator,
        tail: recorded.adapter,
        dropped: teacher.filter((layer) => !recorded.emulator.includes(layer)),
      },
      adapter: part(recorded.adapter),
      emulator: part(recorded.emulator),
    };
    const optimizer = (learningRate: number): OptimizerSpec => {
      const [beta1 = 0.9, beta2 = 0.999] = options.betas?.split(',').map(Number) ?? [];
      return {
        kind: options.optimizer === 'adamw' ? 'AdamW' : 'SGD',
        learningRate,
        betas: [beta1, beta2],
        epsilon: options.eps ?? 1e-8,
        weightDecay: options.weight_decay ?? 0,
        momentum: 0,
        clipNorm: options.clip_norm ?? 0,
        schedule: 'Constant',
        warmupSteps: 0,
      };
    };
    const { source, pool, batchSize, count } = replay(recorded.batches);
    const alignment: AlignmentSpec = {
      schedule: 'EveryRound',
      initialSteps: count('align', 0),
      stepsPerRound: count('align', 1),
      batchSize,
      sequenceLength: 512,
      similarity: similarityOf(options.similarity),
      klWeight: options.kd_weight,
      languageModelWeight: 0,
      lora,
      optimizer: optimizer(options.align_lr ?? options.lr),
    };
    const local: LocalSpec = {
      steps: count('client', 0) / 2,
      batchSize,
      gradientAccumulation: 1,
      sequenceLength: 512,
      optimizer: optimizer(options.lr),
      proximalWeight: options.prox_weight,
    };
    const aligner = await EmulatorAligner.load({
      compute,
      model,
      spec: alignment,
      seed: 0,
      batches: source,
      pool,
      memoryBytes: 2 ** 26,
      disk: null,
    });
    const trainer = await AdapterTrainer.load({ compute, model, spec: local, seed: 0, batches: source, pool });
    // Computing states in advance does not affect later steps.
    await aligner.rehearse();
    await trainer.rehearse();

    const expected = fixtureTensors(round(`${recorded.name}.safetensors`));
    const compare = (name: string, found: Float32Array, layout: TensorLayout) => {
      const error = relativeError([...found], inLayout(numbers(expected(name)), layout));
      t.ok(error < TOLERANCE, `${name}: relative error ${error.toExponential(1)}`);
    };
    const lossesOf = (phase: 'align' | 'client', r: number, client: number) =>
      recorded.steps
        .filter((step) => step.phase === phase && step.round === r && step.client === client)
        .map((step) => step.loss);
    const compareLosses = (name: string, found: readonly number[], wanted: readonly number[]) => {
      t.equal(found.length, wanted.length, `${name}: number of steps`);
      const error = Math.max(...wanted.map((loss, i) => Math.abs(found[i]! - loss) / Math.abs(loss)));
      t.ok(error < TOLERANCE, `${name}: losses within ${error.toExponential(1)}`);
    };

    let state: LoraState = { adapter: startOf(model.adapter.layout), emulator: startOf(model.emulator.layout) };
    const signal = new AbortController().signal;
    const ignored = { onStep: () => undefined, onSweep: () => undefined };
    for (const r of [0, 1]) {
      const aligned = await aligner.align({ round: r + 1, lora: state, from: null, ...ignored, signal });
      if (!aligned.done) throw new Error('nothing had stopped the alignment');
      compareLosses(`alignment ${r}`, aligned.losses, lossesOf('align', r, -1));
      state = { ...state, emulator: aligned.emulator };
      compare(`after_align_r${r}`, state.emulator, model.emulator.layout);
      const updates = [];
      for (const client of [0, 1]) {
        const update = await trainer.train({ round: r + 1, client, lora: state, ...ignored, signal });
        compareLosses(`client ${client} in round ${r}`, update.losses, lossesOf('client', r, client));
        compare(`client${client}_r${r}`, update.adapter, model.adapter.layout);
        updates.push(update);
      }
      state = { ...state, adapter: await federatedAverage(state.adapter.length, Readable.from(updates)) };
      compare(`aggregated_r${r}`, state.adapter, model.adapter.layout);
    }
  });
}

/** Batches as recorded in the trace, where rounds count from 0. */
function replay(file: string): {
  source: BatchSource;
  pool: Sequence[];
  batchSize: number;
  count: (phase: RecordedBatch['phase'], round: number) => number;
} {
  const batches = readFileSync(round(file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RecordedBatch);
  const sequences = (batch: RecordedBatch) =>
    batch.input_ids.map((ids, row) => {
      const length = batch.attention_mask[row]!.reduce((a, b) => a + b, 0);
      return sequenceOf(ids.slice(0, length), batch.labels[row]!.slice(0, length));
    });
  const at = (phase: RecordedBatch['phase'], r: number, client: number, step: number) =>
    sequences(batches.find((b) => b.phase === phase && b.round === r - 1 && b.client === client && b.step === step)!);
  const pool = batches.filter(({ phase }) => phase === 'align').flatMap(sequences);
  return {
    source: {
      publicOrder: pool,
      alignment: (r, step) => at('align', r, -1, step),
      local: (r, client, step) => [at('client', r, client, step)],
    },
    pool,
    batchSize: batches[0]!.input_ids.length,
    count: (phase, r) => batches.filter((b) => b.phase === phase && b.round === r).length,
  };
}

function similarityOf(name = 'l2'): AlignmentSpec['similarity'] {
  const known: Record<string, AlignmentSpec['similarity']> = {
    l2: 'L2',
    'l2-per-token': 'L2PerToken',
    cosine: 'Cosine',
    layerwise: 'Layerwise',
  };
  return known[name]!;
}

/** Our vectors store B as [rank, out], PEFT as [out, rank]. */
function toOurs(name: string, values: readonly number[], [rows = 0, columns = 0]: readonly number[]): number[] {
  if (!name.endsWith('lora_B')) return [...values];
  return Array.from({ length: rows * columns }, (_, i) => values[(i % columns) * rows + Math.floor(i / columns)]!);
}

function startOf(layout: TensorLayout): Float32Array {
  return Float32Array.from(layout.slices.flatMap(({ name, shape }) => toOurs(name, numbers(initial(name)), shape)));
}

/** A snapshot's flat vector (per layer, the tensors of `index.layer`) in the order of our layout. */
function inLayout(snapshot: readonly number[], layout: TensorLayout): number[] {
  const perLayer = index.layer.reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0);
  const layers = [...new Set(layout.slices.map(({ name }) => /^layers\.(\d+)\./.exec(name)![1]!))];
  return layout.slices.flatMap(({ name, shape, size }) => {
    const [, layer, rest] = /^layers\.(\d+)\.(.+)$/.exec(name)!;
    let offset = layers.indexOf(layer!) * perLayer;
    for (const tensor of index.layer) {
      if (tensor.name === rest) return toOurs(name, snapshot.slice(offset, offset + size), shape);
      offset += tensor.shape[0]! * tensor.shape[1]!;
    }
    throw new Error(`${name} is not in the snapshot`);
  });
}
