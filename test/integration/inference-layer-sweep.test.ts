// Passes that run a layer at a time give the states of passes through all layers at once, and read each weight once.
import t from 'tap';
import type { Compute } from '../../worker/engine/compute.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import { LayerSweep } from '../../worker/inference/layer-sweep.ts';
import type { LayerProgress } from '../../worker/inference/layer-sweep.ts';
import { packSequences } from '../../worker/inference/packs.ts';
import type { TokenSequence } from '../../worker/inference/packs.ts';
import { loadTrunk, SweptTrunk } from '../../worker/inference/trunk-runner.ts';
import { placeFeeds, tokenIds } from '../../worker/model/batch-feeds.ts';
import { layerOf } from '../../worker/model/config/tensors.ts';
import { layerProgram, NEXT } from '../../worker/model/programs/layer.ts';
import { quantizeAll, quantizeEmulator } from '../../worker/model/quantize.ts';
import { splitLayers } from '../../worker/model/split.ts';
import { embed } from '../../worker/model/weights/embedding.ts';
import { weightFolder } from '../../worker/model/weights/stored-weights.ts';
import { randomStream } from '../../worker/random.ts';
import { checkComputeWeights, checkEmulator } from '../../worker/training/check-quantized.ts';
import { familyFolder, openFamily } from '../support/family.ts';
import { testCompute } from '../support/test-compute.ts';

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31);
t.comment(`TEST_SEED=${seed}`);

const family = await openFamily(familyFolder('qwen2'));
const { layers } = family.oracle;
const split = (placement: 'Last' | 'Both') =>
  splitLayers({ layers, placement, adapterLayers: 1, layerDropRate: 0.3, selection: 'Uniform' });
const [last, both] = [family.model(split('Last')), family.model(split('Both'))];

/** Sequences of which some begin alike, in packs of a few. */
const random = randomStream(seed, 'sequences');
const sequences = Array.from({ length: 9 }, (_, i): TokenSequence => {
  const own = Array.from({ length: 3 + random.below(12) }, () => random.below(last.config.vocabSize));
  return { id: String(i), inputIds: Int32Array.from(i % 3 === 0 ? [1, 2, 3, 4, ...own] : own) };
});
const packs = packSequences(sequences, 40);

const vector = (size: number) => float32(Float32Array.from({ length: size }, () => 0.05 * random.normal()));

/**
 * The weights' layers in each session that a compute process loads, the sessions that are loaded, now and at most, and
 * the variables that they keep.
 */
function observed(compute: Compute) {
  const loads: (number | null)[][] = [];
  const kept = new Set<string>();
  const sessions = { now: 0, most: 0 };
  const load = compute.load.bind(compute);
  compute.load = async (graph, ...rest) => {
    loads.push([...new Set([...graph.weights.keys()].map(({ name }) => layerOf(name)))]);
    const session = await load(graph, ...rest);
    sessions.most = Math.max(sessions.most, ++sessions.now);
    return {
      run: (request) => {
        for (const name of Object.values(request.keep ?? {})) kept.add(name);
        return session.run(request);
      },
      release: async () => {
        await session.release();
        sessions.now--;
      },
    };
  };
  return { loads, sessions, kept };
}

for (const [name, model] of Object.entries({ last, both })) {
  for (const trunk of ['teacher', 'emulator'] as const) {
    t.test(`${trunk}, adapter ${name}`, async (t) => {
      const compute = testCompute();
      t.teardown(() => compute.close());
      const { loads } = observed(compute);
      const after = [...(model === both ? [-1] : []), ...model.split[trunk].slice(1)];
      const vectors = {
        ...(model === both ? { adapter: vector(model.adapter.layout.size) } : {}),
        ...(trunk === 'emulator' ? { emulator: vector(model.emulator.layout.size) } : {}),
      };
      const whole = await loadTrunk(compute, model, trunk, after);
      const swept = new SweptTrunk(compute, model, trunk, after);
      const expected = await whole.runAll(packs, vectors);
      t.not(expected[0]?.[0]?.length, 0);
      loads.length = 0;
      t.strictSame(await swept.runAll(packs, vectors), expected, 'to the bit');
      t.same(
        loads,
        [...model.split.front, ...model.split[trunk]].map((layer) => [layer]),
        `one session per layer for ${packs.length} packs`,
      );
      const variables = Object.fromEntries(Object.keys(vectors).map((each) => [each, `held.${each}`]));
      for (const [each, tensor] of Object.entries(vectors)) await compute.write(`held.${each}`, tensor);
      t.strictSame(await swept.runAll(packs, variables), expected, 'with vectors that the process holds');
    });
  }
}

t.test('passes that do not fit into one sweep', async (t) => {
  const compute = testCompute();
  t.teardown(() => compute.close());
  const { loads } = observed(compute);
  const { batch } = family;
  const passes = Array.from({ length: 3 }, () => ({
    hidden: embed(last.weights, tokenIds(batch)),
    feeds: placeFeeds(batch),
  }));
  const swept = [0, 1].map((layer) => ({
    program: () => layerProgram(last, layer, null),
    fetch: layer === 1 ? [NEXT] : [],
  }));
  const through = async (sweep: LayerSweep) => {
    loads.length = 0;
    const states = [];
    for await (const each of sweep.through(passes, {})) states.push(each);
    return { states, sessions: loads.length };
  };
  const { hiddenSize } = last.config;
  const together = new LayerSweep(compute, weightFolder(last), swept, hiddenSize);
  // States so wide that a sweep has room for two passes.
  const width = Math.ceil((together.rows * hiddenSize) / (2 * batch.tokens + 1));
  const apart = new LayerSweep(compute, weightFolder(last), swept, width);
  const [once, twice] = [await through(together), await through(apart)];
  t.equal(once.sessions, 2);
  t.equal(twice.sessions, 4);
  t.equal(once.states.length, 3);
  t.strictSame(twice.states, once.states);
});

t.test('a sweep that is aborted leaves nothing behind', async (t) => {
  const compute = testCompute();
  t.teardown(() => compute.close());
  const { sessions, kept } = observed(compute);
  const swept = new SweptTrunk(compute, last, 'emulator', last.split.emulator.slice(-1));
  const vectors = { emulator: vector(last.emulator.layout.size) };
  const stop = new AbortController();
  let passes = 0;
  const onLayer = () => {
    if (++passes === packs.length + 1) stop.abort(new Error('enough'));
  };
  await t.rejects(swept.runAll(packs, vectors, { signal: stop.signal, onLayer }), { message: 'enough' });
  t.equal(passes, packs.length + 1, 'no pass begins after the abort');
  t.equal(sessions.now, 0);
  t.equal(kept.size, packs.length);
  for (const name of kept) await t.rejects(compute.read(name), /no variable/);
  const reached: LayerProgress[] = [];
  const [states] = await swept.runAll(packs, vectors, { onLayer: (layer) => reached.push(layer) });
  t.ok(states, 'the next sweep runs');
  const shares = reached.reduce((sum, { share }) => sum + share, 0);
  t.ok(Math.abs(shares - packs.length) < 1e-9, 'its shares add up to its passes');
  t.same(
    reached.map(({ done }) => Math.round(done * reached.length)),
    Array.from(reached, (_, i) => i + 1),
    'the part that is done grows with each pass through a layer',
  );
  t.equal(reached.at(-1)?.done, 1);
  for (const name of kept) await t.rejects(compute.read(name), /no variable/);
});

for (const [name, model] of Object.entries({ last, both }))
  t.test(`the check of quantised weights holds one layer, adapter ${name}`, async (t) => {
    const compute = testCompute();
    t.teardown(() => compute.close());
    const { loads, sessions, kept } = observed(compute);
    const options = { modelSha256: name, checkUnchanged: () => {}, held: 'auto', product: 'Float32' } as const;
    const text = sequences[0]!.inputIds;
    const { front, teacher, emulator, tail } = model.split;
    const folder = t.testdir({});
    const { model: quantized } = await quantizeEmulator(model, 'Int8', folder, options);
    await checkEmulator(compute, quantized, text);
    await checkComputeWeights(compute, quantized, [...front, ...teacher], text);
    t.same(
      loads,
      [...front, ...emulator].map((layer) => [layer]),
      'one session per layer, and none of the full model, which is as stored',
    );
    const { computed } = await quantizeAll(model, folder, options);
    await checkComputeWeights(compute, { ...model, ...computed }, [...front, ...teacher, ...tail], text);
    t.same(
      loads.slice(front.length + emulator.length),
      Array.from({ length: layers }, (_, layer) => [layer]),
    );
    t.same(sessions, { now: 0, most: 1 });
    for (const variable of kept) await t.rejects(compute.read(variable), /no variable/);
  });
