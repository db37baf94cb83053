// A half-precision model with a weight that is NaN or infinite: run, eval and both pods name the file and the tensor,
// before anything is computed.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openBundle } from '../../worker/bundle/open.ts';
import { writeBundle } from '../../worker/bundle/write.ts';
import { defaults } from '../../worker/commands/eval.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { evaluateModel } from '../../worker/run/evaluate-model.ts';
import { federateModel } from '../../worker/run/job-model.ts';
import { readJob } from '../../worker/run/job-manifest.ts';
import { roundFromFloat32 } from '../../worker/safetensors/float-rounding.ts';
import type { TensorData } from '../../worker/safetensors/safetensors.ts';
import { rewrite } from '../support/copied-family.ts';
import { runTinyJob, writeTinyJob } from '../support/tiny-job.ts';

/** Bits of values that are not finite. */
const VALUES = {
  F16: { NaN: 0x7e00, infinity: 0x7c00, 'minus infinity': 0xfc00 },
  BF16: { NaN: 0xffff, infinity: 0x7f80, 'minus infinity': 0xff80 },
} as const;
const WEIGHT = 'model.layers.4.mlp.down_proj.weight';

/** Rounds all weights, and sets one element of WEIGHT. */
function spoil(model: string, dtype: keyof typeof VALUES, bits: number): void {
  rewrite(model, (tensors) =>
    tensors.map((tensor): TensorData => {
      const data = roundFromFloat32(dtype, new Float32Array(Uint8Array.from(tensor.data).buffer));
      if (tensor.name === WEIGHT) new DataView(data.buffer, data.byteOffset).setUint16(2 * (3 * 96 + 7), bits, true);
      return { ...tensor, dtype, data };
    }),
  );
}

for (const dtype of ['F16', 'BF16'] as const)
  for (const [what, bits] of Object.entries(VALUES[dtype]))
    t.test(`${what} in ${dtype}`, async (t) => {
      const root = t.testdir({});
      const job = writeTinyJob(root, { emulator: '{ layerDropRate: 0, alignment: { sequenceLength: 192 } }' });
      const model = join(root, 'model');
      spoil(model, dtype, bits);
      const told = (folder: string) => ({
        name: 'UserError',
        message: `weight ${WEIGHT} in ${join(folder, 'model.safetensors')} is NaN or infinite at [3, 7]`,
        hint: /damaged, or was saved in float16 after an overflow/,
      });

      const out = join(root, 'out');
      await t.rejects(runTinyJob(job, out), told(model), 'fedbiot run');
      t.notOk(existsSync(join(out, 'metrics.jsonl')), 'nothing was begun');

      const score = evaluateModel({
        ...{ model, data: join(root, 'eval.jsonl'), adapter: null, task: 'tokens', limit: null, sequenceLength: null },
        ...{ date: null, threads: 1, force: false, verify: false, cache: null, provider: 'cpu' },
        onProgress: () => t.fail('it was scored'),
        onWarning: () => {},
        ...defaults,
      });
      await t.rejects(score, told(model), 'fedbiot eval');

      const directory = await openModelDirectory(model);
      await t.rejects(directory.sha256(), told(model), 'a server pod, which hashes its model before it reads a weight');

      const { spec } = readJob(job);
      const split = await federateModel(directory, spec, async () => []);
      const bundle = await writeBundle(split, model, join(root, 'bundle'));
      await t.rejects(openBundle(bundle.directory, bundle.sha256, spec), told(bundle.directory), 'a client pod');
    });
