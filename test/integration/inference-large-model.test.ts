// A model with more weights than one session copies, in half precision: its layers run one at a time. States, losses
// and influence are those of one session with all layers, to the bit, and an aborted alignment continues.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { parseManifest } from '../../crds/parse.ts';
import { collate } from '../../worker/data/batch.ts';
import { sequenceOf } from '../../worker/data/sequence.ts';
import { Compute, COPIED_WEIGHT_BYTES } from '../../worker/engine/compute.ts';
import type { Graph } from '../../worker/engine/graph/graph.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import { layerInfluence } from '../../worker/inference/layer-influence.ts';
import { SWEPT_STATES } from '../../worker/inference/layer-sweep.ts';
import { loadTrunk } from '../../worker/inference/trunk-runner.ts';
import { labelFeeds, placeFeeds, tokenIds } from '../../worker/model/batch-feeds.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import { loraLayout } from '../../worker/model/lora/layout.ts';
import { hiddenAfter, hiddenStatesProgram } from '../../worker/model/programs/hidden-states.ts';
import { influenceOf, influenceProgram } from '../../worker/model/programs/influence.ts';
import { scoringProgram } from '../../worker/model/programs/scoring.ts';
import { embed } from '../../worker/model/weights/embedding.ts';
import { randomStream } from '../../worker/random.ts';
import { EmulatorAligner } from '../../worker/training/alignment.ts';
import { Scorer } from '../../worker/training/scorer.ts';
import { maxError, numbers } from '../support/fixture-tensors.ts';
import { writeLlama } from '../support/llama-shape.ts';
import { peakOfChildren } from '../support/peak-memory.ts';
import { runProgram } from '../support/run-program.ts';

const SHAPE = { hidden: 2048, intermediate: 5632, layers: 7, heads: 16, keyValueHeads: 16 };
const LAYER_BYTES = (4 * SHAPE.hidden ** 2 + 3 * SHAPE.hidden * SHAPE.intermediate) * 4;
const noProc = existsSync('/proc/self/status') ? false : 'SKIPPED: no /proc, which reports memory that no file backs';

const root = t.testdir();
await writeLlama(join(root, 'model'), SHAPE);
const { config, weights } = await openModelDirectory(join(root, 'model'));
const random = randomStream(7, 'large model');

/** The model with its first layers as the teacher part and the others as the adapter. */
function modelWith(teacherLayers: number): FederatedModel {
  const layers = Array.from({ length: SHAPE.layers }, (_, layer) => layer);
  const [teacher, tail] = [layers.slice(0, teacherLayers), layers.slice(teacherLayers)];
  const part = (of: readonly number[]) => ({
    layout: loraLayout(config, of, { rank: 2, targets: ['q_proj', 'down_proj'] }),
    scale: 2,
    dropout: 0,
  });
  const split = { front: [], teacher, emulator: teacher, tail, dropped: [] };
  return { config, weights, split, adapter: part(tail), emulator: part(teacher) };
}

const packs = Array.from({ length: 3 }, () =>
  Array.from({ length: 2 }, () => {
    const ids = Array.from({ length: 5 + random.below(20) }, () => random.below(config.vocabSize));
    return sequenceOf(ids, ids);
  }),
);
const batches = packs.map((pack) => collate(pack, 0));
const values = (size: number) => Float32Array.from({ length: size }, () => 0.05 * random.normal());
const vector = (size: number) => float32(values(size));

/** Runs a graph with all layers once for each batch. */
async function runWhole(
  t: Test,
  compute: Compute,
  model: FederatedModel,
  graph: Graph,
  feedsOf: (batch: (typeof batches)[number], i: number) => Readonly<Record<string, Tensor>>,
) {
  t.ok(graph.weightBytes > COPIED_WEIGHT_BYTES, 'the weights are large');
  const outputs = [];
  for (const [i, batch] of batches.entries()) outputs.push(await runProgram(compute, model, graph, feedsOf(batch, i)));
  return outputs;
}

t.test('all passes of a large model', { skip: noProc, timeout: 300_000 }, async (t) => {
  const compute = new Compute({ threads: 2, provider: 'cpu' });
  t.teardown(() => compute.close());

  t.test('hidden states of teacher and emulator', async (t) => {
    const model = modelWith(6);
    const emulator = vector(model.emulator.layout.size);
    for (const [trunk, vectors] of [
      ['teacher', {}],
      ['emulator', { emulator }],
    ] as const) {
      const after = [2, 5];
      const whole = await runWhole(t, compute, model, hiddenStatesProgram(model, trunk, after, 'cpu'), (batch) => ({
        hidden: embed(weights, tokenIds(batch)),
        ...placeFeeds(batch),
        ...vectors,
      }));
      const runner = await loadTrunk(compute, model, trunk, after);
      t.ok(runner.sweptTokens > 0);
      const { result: swept, peak } = await peakOfChildren(() => runner.runAll(packs, vectors));
      t.ok(peak < 4 * LAYER_BYTES, `memory of ${(peak / LAYER_BYTES).toFixed(1)} layers`);
      for (const [i, outputs] of whole.entries()) {
        after.forEach((layer, at) => {
          const states = swept[i]!.flatMap((sequence) => [...sequence[at]!]);
          t.equal(maxError(states, numbers(outputs[hiddenAfter(layer)]!)), 0, `${trunk}, layer ${layer}, pack ${i}`);
        });
      }
    }
  });

  t.test('losses behind a large tail', async (t) => {
    const model = modelWith(1);
    const adapter = vector(model.adapter.layout.size);
    const runner = await loadTrunk(compute, model, 'teacher', [0]);
    const states = await runner.runAll(packs, {});
    const whole = await runWhole(t, compute, model, scoringProgram(model, 'cpu'), (batch, i) => {
      const { labelledRows, labels } = labelFeeds(batch);
      const hidden = float32(Float32Array.from(states[i]!.flatMap(([last]) => [...last!])), [
        batch.tokens,
        config.hiddenSize,
      ]);
      return { ...placeFeeds(batch), hidden, adapter, labelledRows, labels };
    });
    const scorer = await Scorer.load(compute, model);
    t.ok(scorer.sweeps);
    let next = 0;
    for await (const { batch, loss, labelled } of scorer.score(batches, asyncly(states), adapter, {})) {
      t.equal(batch, batches[next]);
      const expected = numbers(whole[next++]!['nll']!).reduce((a, b) => a + b, 0);
      t.equal(loss, expected, `${labelled} tokens`);
    }
    t.equal(next, batches.length);
  });

  t.test('influence of each layer', async (t) => {
    const model = modelWith(6);
    const total = batches.reduce((sum, { tokens, rows }) => sum + tokens - rows, 0);
    const whole = await runWhole(t, compute, model, influenceProgram(model, 'cpu'), (batch) => ({
      hidden: embed(weights, tokenIds(batch)),
      ...placeFeeds(batch),
      tokenWeights: float32(
        Float32Array.from([...batch.lengths].flatMap((length) => Array.from({ length }, (_, i) => (i && 1) / total))),
      ),
    }));
    const expected = model.split.teacher.map((layer) =>
      whole.reduce((sum, outputs) => sum + numbers(outputs[influenceOf(layer)]!)[0]!, 0),
    );
    const reached: number[] = [];
    const influence = await layerInfluence(compute, model, batches, (done) => reached.push(done));
    t.strictSame(influence, expected);
    t.ok(Math.min(...influence) > 0);
    const passes = batches.length * model.split.teacher.length;
    t.same(
      reached,
      Array.from({ length: passes }, (_, i) => (i + 1) / passes),
      'reported after each pass through a layer',
    );
  });

  t.test('an alignment that is aborted in a sweep, and continues', async (t) => {
    const model = modelWith(6);
    const { spec } = parseManifest(
      `{apiVersion: fedbiot.io/v1alpha1, kind: FedBiOTJob, metadata: {name: large}, spec: {
        model: {uri: m}, data: {train: {uri: t}, public: {uri: p}},
        emulator: {alignment: {batchSize: 2, sequenceLength: 64, initialSteps: 3, klWeight: 0}}}}`,
      'large',
    );
    const lora = { adapter: values(model.adapter.layout.size), emulator: values(model.emulator.layout.size) };
    const pool = packs.flat();
    const alignments = { publicOrder: pool, alignment: (_: number, step: number) => packs[step]!, local: () => [] };
    const common = { compute, model, pool, batches: alignments, spec: spec.emulator.alignment, seed: 1, disk: null };
    const aligned = { round: 1, lora, onStep: () => {}, onSweep: () => {} };
    const { signal } = new AbortController();
    const ahead = await EmulatorAligner.load({ ...common, memoryBytes: SWEPT_STATES });
    const undisturbed = await ahead.align({ ...aligned, from: null, signal });

    // Without memory for states, each sequence of a step begins with a sweep of six layers.
    const aligner = await EmulatorAligner.load({ ...common, memoryBytes: 0 });
    const stop = new AbortController();
    const load = compute.load.bind(compute);
    let loads = 0;
    compute.load = (...layer) => {
      if (++loads === 15) stop.abort(new Error('enough'));
      return load(...layer);
    };
    const interrupted = await aligner.align({ ...aligned, from: null, signal: stop.signal });
    if (interrupted.done || !undisturbed.done) throw new Error('it was not interrupted');
    t.equal(interrupted.state.step, 1, 'the step that was in progress is done');
    t.same(interrupted.state.losses, undisturbed.losses.slice(0, 1));
    t.strictSame(await aligner.align({ ...aligned, from: interrupted.state, signal }), undisturbed);
  });
});

async function* asyncly<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
