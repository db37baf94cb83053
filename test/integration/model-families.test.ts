// Every family of models compared with transformers + PEFT (test/oracle/families.py).
import { cpSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Graph } from '../../worker/engine/graph/graph.ts';
import { float32, int32 } from '../../worker/engine/graph/tensor.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import { labelFeeds, placeFeeds, tokenIds } from '../../worker/model/batch-feeds.ts';
import type { TokenBatch } from '../../worker/model/batch-feeds.ts';
import { embed } from '../../worker/model/weights/embedding.ts';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import { Generator } from '../../worker/inference/generator.ts';
import { hiddenAfter, hiddenStatesProgram } from '../../worker/model/programs/hidden-states.ts';
import { localUpdateProgram } from '../../worker/model/programs/local-update.ts';
import { scoringProgram } from '../../worker/model/programs/scoring.ts';
import type { LayerSplit } from '../../worker/model/split.ts';
import { loadTrunk } from '../../worker/inference/trunk-runner.ts';
import { familyFolder, openFamily } from '../support/family.ts';
import { maxError, numbers, relativeError } from '../support/fixture-tensors.ts';
import { inOurOrder, loraVector } from '../support/lora-vector.ts';
import { logitsProgram, runProgram } from '../support/run-program.ts';
import { testCompute } from '../support/test-compute.ts';

/** Another order of sums changes PyTorch's own logits by 3e-6. */
const LOGIT_TOLERANCE = 1e-4;
const LOSS_TOLERANCE = 1e-5;
const GRADIENT_TOLERANCE = 1e-4;

const compute = testCompute();
t.teardown(() => compute.close());
type Feeds = Readonly<Record<string, Tensor>>;
const run = (model: FederatedModel, graph: Graph, feeds: Feeds) => runProgram(compute, model, graph, feeds);

/** LLaMA 3's directory with its configuration in the form of transformers before version 5. */
function withOldConfig(name: string): string {
  const folder = join(t.testdir(), name);
  cpSync(familyFolder(name), folder, { recursive: true });
  renameSync(join(folder, 'config-old.json'), join(folder, 'config.json'));
  return folder;
}

const families = new Map(['llama2', 'llama3', 'mistral', 'qwen2', 'smollm2'].map((name) => [name, familyFolder(name)]));
families.set('llama3, old form of config.json', withOldConfig('llama3'));

for (const [name, folder] of families) {
  t.test(name, async (t) => {
    const { oracle, tensor, batch, model: modelOf } = await openFamily(folder);
    const split = lastLayers(oracle.layers, oracle.lora.layers);
    const model = modelOf(split);
    const untrained = float32(new Float32Array(model.adapter.layout.size));
    const lora = float32(loraVector(model.adapter.layout, (name) => tensor(`lora/${name}`)));
    const { layout } = model.adapter;
    const { labelledRows, labels, labelWeights } = labelFeeds(batch);
    const embedding = embed(model.weights, tokenIds(batch));
    const places = placeFeeds(batch);

    const trunkEnd = split.teacher.at(-1)!;
    const teacher = await run(model, hiddenStatesProgram(model, 'teacher', [trunkEnd], compute.provider), {
      hidden: embedding,
      ...places,
    });
    const hidden = teacher[hiddenAfter(trunkEnd)]!;

    t.test('hidden states before the adapter', async (t) => {
      const error = relativeError(numbers(hidden), numbers(tensor('hidden')));
      t.ok(error < 1e-5, `relative error ${error}`);
    });

    t.test('hidden states of sequences with a common prefix, computed together and alone', async (t) => {
      const first = batch.inputIds.slice(0, batch.lengths[0]);
      const second = first.map((token, i) => (i < 4 ? token : first.at(-1 - i)!));
      const pack = [first, second, first.slice(0, 6)].map((inputIds, i) => ({ id: String(i), inputIds }));
      const runner = await loadTrunk(compute, model, 'teacher', [trunkEnd]);
      const together = (await runner.runAll([pack], {}))[0]!;
      for (const [i, sequence] of pack.entries()) {
        const [[[alone]]] = (await runner.runAll([[sequence]], {})) as [[[Float32Array]]];
        const error = relativeError([...together[i]![0]!], [...alone]);
        t.ok(error < 1e-6, `relative error ${error}`);
      }
    });

    for (const [weights, adapter, expected] of [
      ['as stored', untrained, 'logits'],
      ['with LoRA', lora, 'loraLogits'],
    ] as const) {
      t.test(`logits ${weights}`, async (t) => {
        const rows = int32(Int32Array.from({ length: batch.tokens }, (_, i) => i));
        const { logits } = await run(model, logitsProgram(model), { hidden: embedding, ...places, adapter, rows });
        const error = maxError(numbers(logits!), numbers(tensor(expected)));
        t.ok(error < LOGIT_TOLERANCE, `greatest error ${error}`);
      });
    }

    for (const [weights, adapter, expected, logits] of [
      ['as stored', untrained, oracle.loss, 'logits'],
      ['with LoRA', lora, oracle.loraLoss, 'loraLogits'],
    ] as const) {
      t.test(`score ${weights}`, async (t) => {
        const { nll, correct } = await run(model, scoringProgram(model, compute.provider), {
          ...places,
          hidden,
          adapter,
          labelledRows,
          labels,
        });
        const loss = mean(numbers(nll!));
        t.ok(relativeError([loss], [expected]) < LOSS_TOLERANCE, `loss ${loss}, expected ${expected}`);
        t.same(
          numbers(correct!),
          bestTokens(tensor(logits), batch).map((best, i) => Number(best === labels.data[i])),
        );
      });
    }

    t.test("a client's loss and gradient", async (t) => {
      const feeds = { ...places, hidden, labelledRows, labels, labelWeights, parameters: lora, accumulated: untrained };
      const { loss, gradient } = await run(
        model,
        localUpdateProgram(model, { proximalWeight: 0, batchSize: batch.rows }),
        feeds,
      );
      const lossError = relativeError(numbers(loss!), [oracle.loraLoss]);
      t.ok(lossError < LOSS_TOLERANCE, `loss: relative error ${lossError}`);
      for (const slice of layout.slices) {
        const found = numbers(gradient!).slice(slice.offset, slice.offset + slice.size);
        const error = relativeError(found, inOurOrder(slice, numbers(tensor(`gradient/${slice.name}`))));
        t.ok(error < GRADIENT_TOLERANCE, `${slice.name}: relative error ${error}`);
      }
    });

    t.test('LoRA on some projections is LoRA on all with B = 0 on the others', async (t) => {
      const some = modelOf(split, ['down_proj', 'k_proj', 'o_proj', 'v_proj']);
      const few = float32(loraVector(some.adapter.layout, (name) => tensor(`lora/${name}`)));
      const rest = (name: string) => !some.adapter.layout.slices.some((slice) => slice.name === name);
      const padded = Float32Array.from(numbers(lora));
      for (const { name, offset, size } of layout.slices) {
        if (rest(name) && name.endsWith('lora_B')) padded.fill(0, offset, offset + size);
      }

      const step = async (of: FederatedModel, parameters: Tensor) => {
        const accumulated = float32(new Float32Array(parameters.data.length));
        const feeds = { ...places, hidden, labelledRows, labels, labelWeights, parameters, accumulated };
        const { loss, gradient } = await run(
          of,
          localUpdateProgram(of, { proximalWeight: 0, batchSize: batch.rows }),
          feeds,
        );
        const all = numbers(gradient!);
        const { slices } = of.adapter.layout;
        const gradients = new Map(slices.map(({ name, offset, size }) => [name, all.slice(offset, offset + size)]));
        return { loss: numbers(loss!), gradients };
      };
      const partial = await step(some, few);
      const whole = await step(model, float32(padded));
      t.ok(relativeError(partial.loss, whole.loss) < LOSS_TOLERANCE);
      for (const [name, gradient] of partial.gradients) {
        t.ok(relativeError(gradient, whole.gradients.get(name)!) < GRADIENT_TOLERANCE, name);
      }
    });

    t.test('greedy continuations of prompts of different lengths', async (t) => {
      const prompts = oracle.generation.map(({ prompt }) => prompt);
      const expected = oracle.generation.map(({ tokens }) => [...tokens]);
      const maxNewTokens = expected[0]!.length;
      const adapter = { adapter: untrained };
      const generator = await Generator.load(compute, model, 'teacher');
      const generate = (some: readonly (readonly number[])[], stopTokenIds: number[] = []) =>
        generator.generate(some, { maxNewTokens, stopTokenIds }, adapter);
      t.same(await generate(prompts), expected, 'together');
      t.same(await generate(prompts.toReversed()), expected.toReversed(), 'in the other order');
      t.same(await generate(prompts.slice(1)), expected.slice(1), 'alone');
      const stop = expected[0]![4]!;
      const cut = expected.map((tokens) => (tokens.includes(stop) ? tokens.slice(0, tokens.indexOf(stop)) : tokens));
      t.same(await generate(prompts, [stop]), cut, 'until a stop token');

      const emulator = await Generator.load(compute, model, 'emulator');
      const vectors = { ...adapter, emulator: float32(new Float32Array(model.emulator.layout.size)) };
      const emulated = await emulator.generate(prompts, { maxNewTokens, stopTokenIds: [] }, vectors);
      t.same(emulated, expected, 'by an emulator that keeps all layers');
    });
  });
}

/** The adapter on the last layers, and an emulator without dropped layers. */
function lastLayers(layers: number, adapterLayers: number): LayerSplit {
  const all = Array.from({ length: layers }, (_, i) => i);
  const teacher = all.slice(0, -adapterLayers);
  return { front: [], teacher, emulator: teacher, tail: all.slice(-adapterLayers), dropped: [] };
}

/** The likeliest next token at each labelled position, from logits of the positions that are not padding. */
function bestTokens(logits: Tensor, { length, lengths, labels }: TokenBatch): number[] {
  const width = logits.shape[1]!;
  const all = numbers(logits);
  let before = 0;
  return [...lengths].flatMap((real, row) => {
    const first = before;
    before += real;
    return Array.from({ length: real - 1 }, (_, i) => i)
      .filter((i) => labels[row * length + i + 1]! >= 0)
      .map((i) => all.slice((first + i) * width, (first + i + 1) * width))
      .map((z) => z.indexOf(Math.max(...z)));
  });
}

function mean(xs: readonly number[]): number {
  return xs.reduce((a, b) => a + b, 0) / xs.length;
}
