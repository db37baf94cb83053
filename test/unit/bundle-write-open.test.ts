import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openBundle } from '../../worker/bundle/open.ts';
import { writeBundle } from '../../worker/bundle/write.ts';
import { sampledBatches } from '../../worker/training/batches.ts';
import { AdapterTrainer } from '../../worker/training/local-update.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import {
  float32Tensor,
  readSafetensorsHeader,
  readTensor,
  writeSafetensors,
} from '../../worker/safetensors/safetensors.ts';
import { loadClientData } from '../../worker/run/job-data.ts';
import { federateModel, startingLora } from '../../worker/run/job-model.ts';
import { readJob } from '../../worker/run/job-manifest.ts';
import { writeTinyJob } from '../support/tiny-job.ts';
import { testCompute } from '../support/test-compute.ts';

async function written(root: string, sections: Readonly<Record<string, string>> = {}) {
  return bundled(writeTinyJob(root, sections), root);
}

async function bundled(manifest: string, root: string) {
  const { spec } = readJob(manifest);
  const directory = await openModelDirectory(join(root, 'model'));
  const model = await federateModel(directory, spec, async () => [1, 4, 2, 3]);
  const bundle = await writeBundle(model, directory.path, join(root, 'bundle'));
  return { spec, model, bundle, modelPath: directory.path };
}

function bytesOf(model: FederatedModel, name: string): Buffer {
  const { file, offset, bytes } = model.weights.get(name)!;
  return readFileSync(file).subarray(offset, offset + bytes);
}

/** Stores a head beside the embedding, with the sign of its first value inverted. @returns its bytes */
function storeOtherHead(path: string): Uint8Array {
  const tensors = [...readSafetensorsHeader(path).tensors].map(([name, entry]) =>
    float32Tensor(name, entry.shape, readTensor(path, entry)),
  );
  const table = tensors.find(({ name }) => name === 'model.embed_tokens.weight')!;
  const other = new Uint8Array(table.data);
  other[3]! ^= 0x80;
  writeSafetensors(path, [...tensors, { ...table, name: 'lm_head.weight', data: other }]);
  return other;
}

const EMULATOR = '{ layerDropRate: 0.5, alignment: { initialSteps: 2, stepsPerRound: 1, sequenceLength: 192 } }';

t.test(
  'a tied model with another stored head: the bundle has that head, and the client computes with it',
  async (t) => {
    const root = t.testdir({});
    const manifest = writeTinyJob(root, { emulator: EMULATOR });
    const other = storeOtherHead(join(root, 'model', 'model.safetensors'));
    const { spec, model, bundle } = await bundled(manifest, root);
    const opened = await openBundle(bundle.directory, bundle.sha256, spec);
    t.notOk(model.config.tiedEmbeddings);
    t.same(opened.model.config, model.config);
    t.ok(bytesOf(opened.model, 'lm_head.weight').equals(Buffer.from(other)));
  },
);

for (const [name, sections] of [
  ['Last', { emulator: EMULATOR }],
  ['Both', { emulator: EMULATOR, adapter: '{ layers: 1, placement: Both, lora: { rank: 4 } }' }],
  [
    'Importance',
    { emulator: EMULATOR.replace('{', '{ layerSelection: Importance,'), adapter: '{ layers: 2, lora: { rank: 4 } }' },
  ],
] as const) {
  t.test(`${name}: a bundle holds the client's layers bit for bit, and none of the dropped`, async (t) => {
    const { spec, model, bundle, modelPath } = await written(t.testdir({}), sections);
    const opened = await openBundle(bundle.directory, bundle.sha256, spec);
    t.ok(model.split.dropped.length > 0);
    t.same(opened.model.split, model.split);
    t.same(opened.model.adapter, model.adapter);
    t.same(opened.model.emulator, model.emulator);
    const names = [...readSafetensorsHeader(join(bundle.directory, 'model.safetensors')).tensors.keys()];
    const dropped = new Set(model.split.dropped);
    const expected = [...model.weights.keys()].filter(
      (weight) => !dropped.has(Number(/layers\.(\d+)\./.exec(weight)?.[1] ?? NaN)),
    );
    t.same(names.toSorted(), expected.toSorted());
    for (const weight of expected) {
      t.ok(bytesOf(opened.model, weight).equals(bytesOf(model, weight)), weight);
      t.equal(opened.model.weights.get(weight)!.dtype, model.weights.get(weight)!.dtype);
    }
    const again = await writeBundle(model, modelPath, `${bundle.directory}-again`);
    t.equal(again.sha256, bundle.sha256, 'the same model gives the same bundle');
  });
}

for (const head of ['tied', 'stored'])
  t.test(`a local update from the bundle is that from the whole model, to the bit: head ${head}`, async (t) => {
    const root = t.testdir({});
    const manifest = writeTinyJob(root, { emulator: EMULATOR });
    if (head === 'stored') storeOtherHead(join(root, 'model', 'model.safetensors'));
    const { spec, model, bundle } = await bundled(manifest, root);
    t.equal(model.config.tiedEmbeddings, head === 'tied');
    const opened = await openBundle(bundle.directory, bundle.sha256, spec);
    const data = await loadClientData(spec, opened.tokenizer, root, (message) => t.comment(message));
    const { alignment } = spec.emulator;
    const batches = sampledBatches({
      publicSequences: [],
      clients: data.clients,
      alignment,
      local: spec.federation.local,
      rounds: spec.federation.rounds,
      seed: spec.seed,
      shuffle: spec.data.shuffle,
    });
    const lora = startingLora(model, spec, root);
    const update = async (from: FederatedModel) => {
      const compute = testCompute();
      try {
        const trainer = await AdapterTrainer.load({
          compute,
          model: from,
          spec: spec.federation.local,
          seed: spec.seed,
          batches,
          pool: data.clients.flat(),
        });
        return await trainer.train({
          round: 1,
          client: 1,
          lora,
          onStep: () => {},
          onSweep: () => {},
          signal: new AbortController().signal,
        });
      } finally {
        compute.close();
      }
    };
    const [whole, fromBundle] = [await update(model), await update(opened.model)];
    const raw = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);
    t.notOk(raw(whole.adapter).equals(raw(lora.adapter)), 'it has learned');
    t.same(fromBundle.losses, whole.losses);
    t.ok(raw(fromBundle.adapter).equals(raw(whole.adapter)));
  });

t.test('a bundle that is not as announced is refused', async (t) => {
  const { spec, bundle } = await written(t.testdir({}), { emulator: EMULATOR });
  const path = (name: string) => join(bundle.directory, name);
  const refused = (sha256: string, pattern: RegExp) =>
    t.rejects(openBundle(bundle.directory, sha256, spec), { name: 'UserError', message: pattern });
  await refused('0'.repeat(64), /bundle\.json is not what the server announced/);
  const changedSpec = { ...spec, emulator: { ...spec.emulator, layerDropRate: 0 } };
  await t.rejects(openBundle(bundle.directory, bundle.sha256, changedSpec), {
    message: /as emulator, but the job requires/,
  });

  const manifest = readFileSync(path('bundle.json'), 'utf8');
  const reannounce = (text: string) => {
    writeFileSync(path('bundle.json'), text);
    return createHash('sha256').update(text).digest('hex');
  };
  for (const name of ['../../escape', '/etc/passwd', 'model.safetensors.index.json', '..', '']) {
    await refused(
      reannounce(manifest.replace('"tokenizer_config.json"', JSON.stringify(name))),
      /its fields are invalid/,
    );
  }
  await refused(reannounce(manifest.replace('"tokenizer_config.json"', '"tokenizer.json"')), /names a file twice/);
  await refused(
    reannounce(manifest.replace(/("config.json","bytes":)\d+/, '$199999999999')),
    /config.json has 99999999999 bytes/,
  );
  await refused(reannounce(manifest.replace(/("emulator":)\[[^\]]*\]/, '$1[0,1]')), /has layers 0, 1 as emulator/);
  await refused(reannounce(manifest.slice(0, -1)), /is not the manifest/);

  const id = reannounce(manifest);
  const weights = readFileSync(path('model.safetensors'));
  weights[weights.byteLength - 1]! ^= 1;
  writeFileSync(path('model.safetensors'), weights);
  await refused(id, /model\.safetensors is not what the server announced/);
  writeFileSync(path('model.safetensors'), weights.subarray(0, -1));
  await refused(id, /model\.safetensors is not what the server announced/);
});
