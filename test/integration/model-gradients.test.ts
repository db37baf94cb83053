// Gradients of the alignment and of the local update compared with finite differences, for every objective and
// placement.
import t from 'tap';
import type { Test } from 'tap';
import type { Graph } from '../../worker/engine/graph/graph.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import { labelFeeds, placeFeeds, tokenIds, tokenWeights } from '../../worker/model/batch-feeds.ts';
import type { TokenBatch } from '../../worker/model/batch-feeds.ts';
import { embed } from '../../worker/model/weights/embedding.ts';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import { alignmentProgram, comparedLayers, teacherAfter } from '../../worker/model/programs/alignment.ts';
import type { AlignmentObjective } from '../../worker/model/programs/alignment.ts';
import { hiddenAfter, hiddenStatesProgram } from '../../worker/model/programs/hidden-states.ts';
import { localUpdateProgram } from '../../worker/model/programs/local-update.ts';
import { splitLayers } from '../../worker/model/split.ts';
import { weightFolder } from '../../worker/model/weights/stored-weights.ts';
import type { TensorLayout } from '../../worker/safetensors/tensor-layout.ts';
import { randomStream } from '../../worker/random.ts';
import { familyFolder, openFamily } from '../support/family.ts';
import { numbers } from '../support/fixture-tensors.ts';
import { runProgram } from '../support/run-program.ts';
import { testCompute } from '../support/test-compute.ts';

/**
 * Distance of the points from the parameters. With four points the error is O(h⁴) plus O(ε/h), where ε is the float32
 * error of the loss.
 */
const STEP = 0.01;
const TOLERANCE = 5e-3;
const seed = Number(process.env['TEST_SEED'] ?? 22);
t.comment(`seed ${seed}`);
const compute = testCompute();
t.teardown(() => compute.close());

type Feeds = Readonly<Record<string, Tensor>>;

const family = await openFamily(familyFolder('llama3'));
const { batch } = family;
const places = placeFeeds(batch);
const labelled = labelFeeds(batch);
/** Five layers: the adapter's last two, or first and last; the emulator has two of the other three. */
const last = modelWith('Last', 2);
const both = modelWith('Both', 1);
/** The embedding, which does not depend on the split. */
const hidden = embed(last.weights, tokenIds(batch));

const aligned: AlignmentObjective = {
  similarity: 'L2PerToken',
  klWeight: 0,
  languageModelWeight: 0,
  batchSize: batch.rows,
};
for (const [name, model] of Object.entries({ last, both })) {
  const similarities = model === last ? (['L2', 'L2PerToken', 'Cosine', 'Layerwise'] as const) : [];
  const objectives: AlignmentObjective[] = [
    ...similarities.map((similarity) => ({ ...aligned, similarity })),
    { ...aligned, klWeight: 0.5 },
    { ...aligned, languageModelWeight: 0.25 },
    { ...aligned, similarity: 'Layerwise', klWeight: 0.5, languageModelWeight: 0.25 },
  ];
  for (const objective of objectives) {
    const { similarity, klWeight, languageModelWeight } = objective;
    t.test(`alignment, adapter ${name}: ${similarity}, κ = ${klWeight}, w = ${languageModelWeight}`, async (t) => {
      const adapter = vector(model.adapter.layout, 'adapter');
      const feeds = {
        ...(await teacherFeeds(model, objective, adapter)),
        ...places,
        tokenWeights: tokenWeights(batch),
      };
      const reached = klWeight + languageModelWeight > 0 ? { adapter } : {};
      const labels = languageModelWeight > 0 ? labelled : {};
      const program = alignmentProgram(model, objective);
      await checkGradient(t, model, program, { ...feeds, ...reached, ...labels }, model.emulator.layout);
    });
  }

  for (const proximalWeight of [0, 0.3]) {
    t.test(`local update, adapter ${name}: λ = ${proximalWeight}`, async (t) => {
      const emulator = vector(model.emulator.layout, 'emulator');
      const trunk = model.split.front.length > 0 ? { hidden, emulator } : { hidden: await emulated(model, emulator) };
      const reference = proximalWeight > 0 ? { reference: vector(model.adapter.layout, 'reference') } : {};
      const feeds = { ...trunk, ...reference, ...labelled, ...places };
      await checkGradient(
        t,
        model,
        localUpdateProgram(model, { proximalWeight, batchSize: batch.rows }),
        feeds,
        model.adapter.layout,
      );
    });
  }
}

t.test('a batch of one sequence needs no places: the same bits without', async (t) => {
  const length = 12;
  const alone: TokenBatch = {
    rows: 1,
    length,
    inputIds: batch.inputIds.slice(0, length),
    labels: batch.labels.slice(0, length),
    lengths: Int32Array.of(length),
    tokens: length,
  };
  t.ok(
    alone.labels.some((label) => label >= 0),
    'there is something to learn',
  );
  const model = both;
  const { layout } = model.adapter;
  const feeds = {
    hidden: embed(model.weights, tokenIds(alone)),
    ...labelFeeds(alone),
    emulator: vector(model.emulator.layout, 'emulator'),
    parameters: vector(layout, 'parameters'),
    accumulated: float32(new Float32Array(layout.size)),
  };
  const [without, placed] = await Promise.all(
    [1, 2].map((batchSize) =>
      runProgram(compute, model, localUpdateProgram(model, { proximalWeight: 0, batchSize }), {
        ...feeds,
        ...placeFeeds(alone, batchSize),
      }),
    ),
  );
  t.same(without, placed);
});

t.test('the proximal term is λ·‖(α/r)(B·A − B₀·A₀)‖², and zero at the start of the round', async (t) => {
  const model = both;
  const { layout, scale } = model.adapter;
  const parameters = vector(layout, 'parameters');
  const reference = vector(layout, 'reference');
  const emulator = vector(model.emulator.layout, 'emulator');
  const accumulated = float32(new Float32Array(layout.size));
  const feeds = { hidden, ...places, emulator, ...labelled, parameters, accumulated };
  const loss = async (proximalWeight: number, from: Tensor) => {
    const term = proximalWeight > 0 ? { reference: from } : {};
    const outputs = await runProgram(
      compute,
      model,
      localUpdateProgram(model, { proximalWeight, batchSize: batch.rows }),
      { ...feeds, ...term },
    );
    return numbers(outputs['loss']!)[0]!;
  };
  const plain = await loss(0, reference);
  t.ok(Math.abs((await loss(1, parameters)) - plain) < 1e-5);
  const term = (await loss(1, reference)) - plain;
  const expected = distance(layout, scale, numbers(parameters), numbers(reference));
  t.ok(Math.abs(term - expected) / expected < 1e-4, `${term}, dense matrices say ${expected}`);
});

t.test("KL is against the full model, also where the emulator does not keep the teacher's last layer", async (t) => {
  const model = family.model({ front: [], teacher: [0, 1, 2], emulator: [0, 1], tail: [3, 4], dropped: [2] });
  const adapter = vector(model.adapter.layout, 'adapter');
  const parameters = vector(model.emulator.layout, 'parameters');
  const loss = async (similarity: AlignmentObjective['similarity'], klWeight: number) => {
    const objective = { ...aligned, similarity, klWeight };
    const vectors = {
      parameters,
      accumulated: float32(new Float32Array(parameters.data.length)),
      ...(klWeight > 0 ? { adapter } : {}),
    };
    const feeds = {
      ...(await teacherFeeds(model, objective, adapter)),
      ...vectors,
      ...places,
      tokenWeights: tokenWeights(batch),
    };
    return numbers((await runProgram(compute, model, alignmentProgram(model, objective), feeds))['loss']!)[0]!;
  };
  const expected = (await loss('L2', 1)) - (await loss('L2', 0));
  const found = (await loss('Layerwise', 1)) - (await loss('Layerwise', 0));
  t.ok(Math.abs(found - expected) < 1e-4 * expected, `${found}, expected ${expected}`);
});

function modelWith(placement: 'Last' | 'Both', adapterLayers: number): FederatedModel {
  const { layers } = family.oracle;
  return family.model(splitLayers({ layers, placement, adapterLayers, layerDropRate: 0.3, selection: 'Uniform' }));
}

/** Random LoRA weights, including B, large enough that every term of a loss matters. */
function vector({ size }: TensorLayout, purpose: string): Tensor {
  const r = randomStream(seed, purpose);
  return float32(Float32Array.from({ length: size }, () => 0.15 * r.normal()));
}

/** `teacher.L` of the compared layers, and the emulator's input. */
async function teacherFeeds(
  model: FederatedModel,
  { similarity }: AlignmentObjective,
  adapter: Tensor,
): Promise<Feeds> {
  const { front } = model.split;
  const after = [-1, ...comparedLayers(model, similarity)];
  const reached = front.length > 0 ? { adapter } : {};
  const states = await runProgram(compute, model, hiddenStatesProgram(model, 'teacher', after, compute.provider), {
    hidden,
    ...places,
    ...reached,
  });
  const teacher = comparedLayers(model, similarity).map(
    (layer) => [teacherAfter(layer), states[hiddenAfter(layer)]!] as const,
  );
  return { ...Object.fromEntries(teacher), ...(front.length > 0 ? { hidden: states[hiddenAfter(-1)]! } : { hidden }) };
}

async function emulated(model: FederatedModel, emulator: Tensor): Promise<Tensor> {
  const end = model.split.emulator.at(-1)!;
  const states = await runProgram(compute, model, hiddenStatesProgram(model, 'emulator', [end], compute.provider), {
    hidden,
    ...places,
    emulator,
  });
  return states[hiddenAfter(end)]!;
}

/**
 * Compares the gradient with the slope of the loss along each projection's part of it, and along a random direction.
 */
async function checkGradient(
  t: Test,
  model: FederatedModel,
  graph: Graph,
  feeds: Feeds,
  layout: TensorLayout,
): Promise<void> {
  const session = await compute.load(graph, weightFolder(model));
  const start = numbers(vector(layout, 'parameters'));
  const run = async (parameters: readonly number[], fetch: string) => {
    const vectors = {
      parameters: float32(Float32Array.from(parameters)),
      accumulated: float32(new Float32Array(layout.size)),
    };
    return numbers((await session.run({ feeds: { ...feeds, ...vectors }, fetch: [fetch] })).outputs[fetch]!);
  };
  const gradient = await run(start, 'gradient');
  const slope = async (direction: readonly number[]) => {
    const lossAt = async (steps: number) =>
      (
        await run(
          start.map((x, i) => x + steps * STEP * direction[i]!),
          'loss',
        )
      )[0]!;
    return (8 * ((await lossAt(1)) - (await lossAt(-1))) - ((await lossAt(2)) - (await lossAt(-2)))) / (12 * STEP);
  };
  const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  const unit = (x: readonly number[]) => x.map((value) => value / Math.sqrt(dot(x, x)));
  const scale = Math.sqrt(dot(gradient, gradient));

  const r = randomStream(seed, 'direction');
  const directions = new Map([['all at random', unit(gradient.map(() => r.normal()))]]);
  for (const [projection, slices] of Map.groupBy(layout.slices, ({ name }) => name.replace(/\.lora_[AB]$/, ''))) {
    const inside = (i: number) => slices.some(({ offset, size }) => i >= offset && i < offset + size);
    directions.set(projection, unit(gradient.map((x, i) => (inside(i) ? x : 0))));
  }
  for (const [name, direction] of directions) {
    const expected = await slope(direction);
    const found = dot(gradient, direction);
    const tolerance = TOLERANCE * Math.max(Math.abs(found), scale / 50);
    t.ok(Math.abs(found - expected) < tolerance, `${name}: ${found}, finite differences say ${expected}`);
  }
  await session.release();
}

/** Σ over projections of ‖scale·(BA − B₀A₀)‖², with dense matrices. */
function distance(
  { slices }: TensorLayout,
  scale: number,
  parameters: readonly number[],
  reference: readonly number[],
): number {
  let sum = 0;
  for (const a of slices.filter(({ name }) => name.endsWith('lora_A'))) {
    const b = slices.find(({ name }) => name === a.name.replace(/A$/, 'B'))!;
    const [rank, columns] = a.shape as [number, number];
    const rows = b.shape[1]!;
    const entry = (x: readonly number[], row: number, column: number) => {
      const terms = Array.from(
        { length: rank },
        (_, k) => x[b.offset + k * rows + row]! * x[a.offset + k * columns + column]!,
      );
      return terms.reduce((p, q) => p + q);
    };
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        sum += (scale * (entry(parameters, row, column) - entry(reference, row, column))) ** 2;
      }
    }
  }
  return sum;
}
