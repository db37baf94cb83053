import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openBundle } from '../../worker/bundle/open.ts';
import { reuseBundle } from '../../worker/bundle/reuse.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { federateModel } from '../../worker/run/job-model.ts';
import { readJob } from '../../worker/run/job-manifest.ts';
import { writeTinyJob } from '../support/tiny-job.ts';

t.test('an intact bundle is reused, any other is written again', async (t) => {
  const root = t.testdir({});
  const { spec } = readJob(writeTinyJob(root));
  const directory = await openModelDirectory(join(root, 'model'));
  const model = await federateModel(directory, spec, async () => []);
  const folder = join(root, 'bundle');
  const weights = join(folder, 'model.safetensors');
  const bundle = () => reuseBundle(model, directory.path, folder);
  const first = await bundle();
  const { mtimeMs } = statSync(weights);
  t.same(await bundle(), first);
  t.equal(statSync(weights).mtimeMs, mtimeMs, 'nothing was written');

  const damage: Record<string, () => void> = {
    'without its manifest': () => rmSync(join(folder, 'bundle.json')),
    'with a manifest that is none': () => writeFileSync(join(folder, 'bundle.json'), '{'),
    'cut off': () => truncateSync(weights, 1000),
    'with another byte': () => {
      const bytes = readFileSync(weights);
      bytes[bytes.length - 1]! ^= 1;
      writeFileSync(weights, bytes);
    },
  };
  for (const [what, harm] of Object.entries(damage)) {
    harm();
    t.same(await bundle(), first, what);
    await openBundle(folder, first.sha256, spec);
  }

  const full = { ...spec, emulator: { ...spec.emulator, layerDropRate: 0 } };
  const another = await reuseBundle(await federateModel(directory, full, async () => []), directory.path, folder);
  t.not(another.sha256, first.sha256, 'one of another split is not this model’s');
  await openBundle(folder, another.sha256, full);
});
