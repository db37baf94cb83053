// Files of weights that a job writes into its cache: a damaged one is refused, and one that changes is noticed.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { withDtype } from '../../worker/model/convert.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { quantizeEmulator } from '../../worker/model/quantize.ts';
import type { QuantizedFormat } from '../../worker/model/weights/quantized-formats.ts';
import { readJob } from '../../worker/run/job-manifest.ts';
import { federateModel } from '../../worker/run/job-model.ts';
import { writeTinyJob } from '../support/tiny-job.ts';
import { WHOLE_BLOCKS } from '../support/tiny-model.ts';

const WEIGHT = 'model.layers.0.mlp.up_proj.weight';

/** Opens, and the first time writes, a file; says where it is, and where values are that must be valid. */
const written = {
  converted: async (root: string) => {
    const stored = await openModelDirectory(join(root, 'model'));
    const directory = await withDtype(stored, 'float16', join(root, 'cache'));
    return { ...directory.weights.get(WEIGHT)!, name: WEIGHT, checkUnchanged: () => directory.checkUnchanged() };
  },
  'quantised Int8': (root: string) => quantised(root, 'Int8'),
  'quantised Int4': (root: string) => quantised(root, 'Int4'),
};

async function quantised(root: string, format: QuantizedFormat) {
  const { spec } = readJob(join(root, 'job.yaml'));
  const stored = await openModelDirectory(join(root, 'model'));
  const whole = await federateModel(stored, spec, () => Promise.reject(new Error('uniform')));
  const options = { modelSha256: 'x', checkUnchanged: () => {}, held: 'auto', product: 'Float32' } as const;
  const { model, checkUnchanged } = await quantizeEmulator(whole, format, join(root, 'cache'), options);
  return { ...model.quantized!.emulator.get(WEIGHT)!.scales, checkUnchanged };
}

for (const [what, open] of Object.entries(written))
  t.test(`a ${what} file`, async (t) => {
    const root = t.testdir({});
    writeTinyJob(root, {}, WHOLE_BLOCKS);
    const { file, name, offset, checkUnchanged } = await open(root);
    const right = readFileSync(file);
    const renamed = Buffer.from(right.toString('latin1').replace(name, name.toUpperCase()), 'latin1');
    const negative = Buffer.from(right);
    negative.writeFloatLE(-1, offset);
    const damaged: [Buffer, RegExp][] = [
      [renamed, new RegExp(`(must|not) hold ${name}`)],
      [right.subarray(0, -1), /is not a usable safetensors file/],
    ];
    if (what !== 'converted') damaged.push([negative, /_scale in .* holds the scale -1$/]);
    checkUnchanged();
    for (const [content, message] of damaged) {
      writeFileSync(file, content);
      t.throws(checkUnchanged, { name: 'UserError', message: `${file} was changed while it was used` });
      await t.rejects(open(root), { name: 'UserError', message, hint: 'Remove the file: it is created again.' });
    }
    rmSync(file);
    await open(root);
    t.ok(readFileSync(file).equals(right), 'it is created again');
  });
