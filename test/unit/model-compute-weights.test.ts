// All projections in 8 bits for the server's passes without a gradient: what reads them, what does not, and their file.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { writeBundle } from '../../worker/bundle/write.ts';
import { collate } from '../../worker/data/batch.ts';
import { sequenceOf } from '../../worker/data/sequence.ts';
import type { Graph } from '../../worker/engine/graph/graph.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import { matrixProduct } from '../../worker/engine/matrix-product.ts';
import { jobDisk } from '../../worker/estimate/job-disk.ts';
import { podMemory } from '../../worker/estimate/job-memory.ts';
import { sessionWeights } from '../../worker/estimate/session-weights.ts';
import type { WeightSelection } from '../../worker/estimate/session-weights.ts';
import { Generator } from '../../worker/inference/generator.ts';
import { layerInfluence } from '../../worker/inference/layer-influence.ts';
import { loadTrunk, SweptTrunk } from '../../worker/inference/trunk-runner.ts';
import { layerOf } from '../../worker/model/config/tensors.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { withComputeWeights } from '../../worker/model/federated-model.ts';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import { alignmentProgram } from '../../worker/model/programs/alignment.ts';
import { decodedLayers, decodedTerms, decodingProgram, termsProgram } from '../../worker/model/programs/decoding.ts';
import { hiddenStatesProgram } from '../../worker/model/programs/hidden-states.ts';
import { influenceProgram } from '../../worker/model/programs/influence.ts';
import { layerProgram } from '../../worker/model/programs/layer.ts';
import { localUpdateProgram } from '../../worker/model/programs/local-update.ts';
import { scoringProgram } from '../../worker/model/programs/scoring.ts';
import { weightFolder } from '../../worker/model/weights/stored-weights.ts';
import { plannedModel } from '../../worker/run/estimate-job.ts';
import { readJob } from '../../worker/run/job-manifest.ts';
import { formatModel } from '../../worker/run/job-model.ts';
import { relativeError } from '../support/fixture-tensors.ts';
import { matrixOf, roundedModel } from '../support/rounded-model.ts';
import { testCompute } from '../support/test-compute.ts';
import { writeTinyJob } from '../support/tiny-job.ts';
import { WHOLE_BLOCKS } from '../support/tiny-model.ts';
import { withoutPublicData } from '../support/without-public-data.ts';

const compute = testCompute();
t.teardown(() => compute.close());

type Settings = Partial<Record<'placement' | 'weights' | 'computeWeights', string>>;

/** The model of a job in a folder. Its matrices are multiplied as on a GPU, by what they stand for. */
async function jobModel(root: string, settings: Settings) {
  const { placement = 'Last', weights = 'AsStored', computeWeights = 'Int8' } = settings;
  const path = writeTinyJob(
    root,
    {
      model: `{ uri: model, computeWeights: ${computeWeights} }`,
      emulator: `{ weights: ${weights}, layerDropRate: 0.5 }`,
      adapter: `{ layers: 1, placement: ${placement} }`,
    },
    weights === 'Int4' ? WHOLE_BLOCKS : {},
  );
  const { spec } = readJob(path);
  const directory = await openModelDirectory(join(root, 'model'));
  const options = { cache: join(root, 'cache'), provider: 'cuda', signal: AbortSignal.any([]) } as const;
  const { model } = await formatModel(directory, spec, withoutPublicData, options);
  return { spec, directory, model };
}

/** The layers whose projections a graph reads in 8 bits, or in bytes of two, in order. */
const layersIn = (type: 'int8' | 'uint8', { weights }: Graph): number[] =>
  [...new Set([...weights.keys()].filter(({ dtype }) => dtype === type).map(({ name }) => layerOf(name)!))].sort();
const inInt8 = (graph: Graph) => layersIn('int8', graph);
const inInt4 = (graph: Graph) => layersIn('uint8', graph);

t.test('an emulator in 4 bits stays in 4 bits where the server computes in 8', async (t) => {
  const { model } = await jobModel(t.testdir({}), { placement: 'Both', weights: 'Int4' });
  const { front, teacher, emulator, tail } = model.split;
  const server = withComputeWeights(model);
  t.same(inInt4(hiddenStatesProgram(server, 'emulator', [1], 'cpu')), emulator);
  t.same(inInt8(hiddenStatesProgram(server, 'emulator', [1], 'cpu')), front);
  t.same(inInt4(decodingProgram(server, 'emulator')), emulator);
  t.same(inInt8(decodingProgram(server, 'emulator')), [...front, ...tail]);
  t.same(inInt4(layerProgram(server, emulator[0]!, 'emulator')), emulator.slice(0, 1));
  t.same(inInt4(hiddenStatesProgram(server, 'teacher', [1], 'cpu')), []);
  t.same(inInt8(hiddenStatesProgram(server, 'teacher', [1], 'cpu')), [...front, ...teacher]);
  const local = localUpdateProgram(model, { proximalWeight: 0, batchSize: 1 });
  t.same([inInt4(local), inInt8(local)], [emulator, []], 'clients');
});

for (const placement of ['Last', 'Both'])
  for (const weights of ['AsStored', 'Int8'])
    t.test(`${placement}, emulator ${weights}: who multiplies by 8 bits`, async (t) => {
      const { model } = await jobModel(t.testdir({}), { placement, weights });
      const { front, teacher, emulator, tail } = model.split;
      const server = withComputeWeights(model);
      const states = (of: FederatedModel, trunk: 'teacher' | 'emulator') => hiddenStatesProgram(of, trunk, [1], 'cpu');
      t.same(inInt8(states(server, 'teacher')), [...front, ...teacher]);
      t.same(inInt8(states(server, 'emulator')), [...front, ...emulator]);
      t.same(inInt8(scoringProgram(server, 'cpu')), tail);
      t.same(inInt8(layerProgram(server, tail[0]!, 'adapter')), tail.slice(0, 1));
      t.same(inInt8(decodingProgram(server, 'teacher')), [...front, ...teacher, ...tail]);
      t.same(inInt8(decodingProgram(server, 'emulator')), [...front, ...emulator, ...tail]);
      t.same(inInt8(influenceProgram(server, 'cpu')), [...front, ...teacher]);

      const quantized = weights === 'Int8' ? emulator : [];
      const objective = { similarity: 'L2PerToken', klWeight: 1, languageModelWeight: 0.1, batchSize: 1 } as const;
      t.same(inInt8(alignmentProgram(model, objective)), quantized, 'the alignment');
      const local = localUpdateProgram(model, { proximalWeight: 0, batchSize: 1 });
      t.same(inInt8(local), placement === 'Both' ? quantized : [], 'the adapter’s gradient');
      t.same(inInt8(states(model, 'emulator')), quantized, 'the states of clients');
    });

t.test('the server computes with the rounded weights', async (t) => {
  const root = t.testdir({});
  const { model } = await jobModel(root, { placement: 'Both' });
  const server = withComputeWeights(model);
  const rounded = roundedModel(server, join(root, 'rounded.safetensors'));
  const ids = Array.from({ length: 30 }, (_, i) => (i * 37) % 500);
  const sequence = sequenceOf(ids, ids);
  const last = model.split.teacher.at(-1)!;
  const adapter = float32(Float32Array.from({ length: model.adapter.layout.size }, (_, i) => Math.sin(i) / 20));
  const first = async (runner: Awaited<ReturnType<typeof loadTrunk>>) => [
    ...(await runner.runAll([[sequence]], { adapter }))[0]![0]![0]!,
  ];
  const states = async (of: FederatedModel) => first(await loadTrunk(compute, of, 'teacher', [last]));
  const expected = await states(rounded);
  const error = relativeError(await states(server), expected);
  t.ok(error < 1e-5, `relative error ${error}`);
  const swept = relativeError(await first(new SweptTrunk(compute, server, 'teacher', [last])), expected);
  t.ok(swept < 1e-5, `relative error of a sweep ${swept}`);
  const rounding = relativeError(expected, await states(model));
  t.ok(rounding > 1e-4 && rounding < 0.05, `the rounding of weights moves the states by ${rounding}`);

  const influence = (of: FederatedModel) => layerInfluence(compute, of, [collate([sequence], 0)], () => {});
  const [found, wanted] = [await influence(server), await influence(rounded)];
  t.ok(relativeError(found, wanted) < 1e-4, `influence ${String(found)}`);
  t.not(String(found), String(await influence(model)));

  const generated = async (of: FederatedModel) => {
    const generator = await Generator.load(compute, of, 'teacher');
    return generator.generate([ids, ids.slice(0, 7)], { maxNewTokens: 12, stopTokenIds: [] }, { adapter });
  };
  t.same(await generated(server), await generated(rounded));
});

const inexact =
  matrixProduct(compute.provider) === 'Int8' ? false : 'NOT CHECKED: this processor does not multiply bytes exactly';

/** The model with products of integers. */
const inIntegers = (model: FederatedModel): FederatedModel => ({
  ...model,
  computeWeights: { ...model.computeWeights!, product: 'Int8' },
});

t.test('decoding reads the zero-point terms of what it multiplies in 8 bits, and the plan knows them', async (t) => {
  for (const weights of ['AsStored', 'Int4']) {
    const { model } = await jobModel(t.testdir({}), { placement: 'Both', weights });
    const server = withComputeWeights(inIntegers(model));
    for (const trunk of ['teacher', 'emulator'] as const) {
      const terms = decodedTerms(server, trunk);
      const decoding = decodingProgram(server, trunk);
      t.same([...new Set(terms.map(({ weight }) => layerOf(weight)!))].sort(), inInt8(decoding));
      const inputs = decoding.inputs.filter(({ name }) => terms.some((each) => each.name === name));
      t.equal(inputs.length, terms.length);
      const elements = inputs.reduce((sum, { shape: [blocks, out] }) => sum + Number(blocks) * Number(out), 0);
      const session = { layers: decodedLayers(server, trunk), trunk, head: true, onServer: true } as const;
      const own = (selected: WeightSelection) =>
        sessionWeights(inIntegers(model), selected).reduce((sum, weight) => sum + weight.own, 0);
      t.equal(own({ ...session, generates: true }) - own(session), 4 * elements);
    }
    t.same(decodedTerms(withComputeWeights(model), 'teacher'), [], 'products of float32 have none');
  }
});

t.test('generation in integers', { skip: inexact }, async (t) => {
  const { model } = await jobModel(t.testdir({}), { placement: 'Both' });
  const server = withComputeWeights(inIntegers(model));
  const terms = decodedTerms(server, 'teacher');
  const session = await compute.load(termsProgram(server, 'teacher'), weightFolder(server));
  const { outputs } = await session.run({ feeds: {}, fetch: terms.map(({ name }) => name) });
  await session.release();
  for (const { name, weight } of terms) {
    const { values, shape } = matrixOf(server.quantized!.teacher, weight);
    const sums = new Float64Array(shape[1]!);
    values.forEach((value, i) => (sums[i % sums.length]! += value));
    const found = new Float64Array(sums.length);
    outputs[name]!.data.forEach((term, i) => (found[i % sums.length]! += Number(term) / 128));
    t.same([...found], [...sums], name);
  }

  const adapter = float32(Float32Array.from({ length: model.adapter.layout.size }, (_, i) => Math.sin(i) / 20));
  const prompts = Array.from({ length: 20 }, (_, i) => Array.from({ length: 3 + i }, (_, j) => (i + j * 37) % 500));
  const generated = async (of: FederatedModel, texts: number[][], maxNewTokens: number) => {
    const generator = await Generator.load(compute, of, 'teacher');
    return generator.generate(texts, { maxNewTokens, stopTokenIds: [] }, { adapter });
  };
  const [first, expected] = [
    await generated(server, prompts, 1),
    await generated(withComputeWeights(model), prompts, 1),
  ];
  const same = first.filter(([token], i) => token === expected[i]![0]).length;
  t.ok(same >= 16, `${same} of 20 tokens are those of products of float32`);
  const pair = prompts.slice(4, 6);
  const together = await generated(server, pair, 12);
  for (const [i, prompt] of pair.entries())
    t.same(await generated(server, [prompt], 12), [together[i]], 'a text alone');
});

t.test('there is one file, and clients do not see it', async (t) => {
  for (const weights of ['AsStored', 'Int8']) {
    const root = t.testdir({});
    const { model, directory, spec } = await jobModel(root, { weights });
    t.equal(readdirSync(join(root, 'cache')).length, 1);
    const { model: plain, spec: plainSpec } = await jobModel(root, { weights, computeWeights: 'AsStored' });
    t.notOk(plain.computeWeights);
    const bundle = await writeBundle(model, directory.path, join(root, 'bundle'));
    t.equal(bundle.sha256, (await writeBundle(plain, directory.path, join(root, 'plain'))).sha256);

    const bytes = { emulatorBundle: 0, hiddenStateCache: 0 };
    const planned = await plannedModel(directory, spec);
    const all = [...model.computeWeights!.index.values()].flatMap(({ values, scales }) => [values, scales]);
    t.equal(
      jobDisk(directory.weights, planned, spec, bytes).convertedWeights,
      all.reduce((sum, { bytes }) => sum + bytes, 0),
      'the plan knows its size',
    );
    const plannedPlain = await plannedModel(directory, plainSpec);
    t.same(podMemory(planned, spec).client, podMemory(plannedPlain, plainSpec).client);
    t.ok(podMemory(planned, spec).server.total < podMemory(plannedPlain, plainSpec).server.total);
  }
});
