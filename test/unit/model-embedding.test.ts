import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { embed } from '../../worker/model/weights/embedding.ts';
import type { FloatDtype } from '../../worker/safetensors/float-formats.ts';
import { roundFromFloat32 } from '../../worker/safetensors/float-rounding.ts';
import { readSafetensorsHeader, writeSafetensors } from '../../worker/safetensors/safetensors.ts';
import type { WeightIndex } from '../../worker/model/weights/weight-index.ts';

const NAME = 'model.embed_tokens.weight';
const ROWS = 7;
const WIDTH = 3;
/** Row i contains i, i + 1/4, i + 1/2, which every format represents exactly. */
const values = Float32Array.from({ length: ROWS * WIDTH }, (_, i) => Math.floor(i / WIDTH) + (i % WIDTH) / 4);

/** A model file whose table is between other tensors. */
function tableIn(file: string, dtype: FloatDtype): WeightIndex {
  const other = (name: string) => ({ name, dtype: 'F32' as const, shape: [1], data: new Uint8Array(4).fill(255) });
  writeSafetensors(file, [
    other('a'),
    { name: NAME, dtype, shape: [ROWS, WIDTH], data: roundFromFloat32(dtype, values) },
    other('z'),
  ]);
  const { offset, bytes } = readSafetensorsHeader(file).tensors.get(NAME)!;
  return new Map([[NAME, { file, dtype, shape: [ROWS, WIDTH], offset, bytes }]]);
}

for (const dtype of ['F32', 'BF16', 'F16'] as const) {
  t.test(`rows of a table in ${dtype}, in the order of the ids, some of them twice`, async (t) => {
    const weights = tableIn(join(t.testdir({}), 'model'), dtype);
    const ids = [6, 0, 3, 3];
    t.same(embed(weights, Int32Array.from(ids)), {
      dtype: 'float32',
      shape: [4, WIDTH],
      data: Float32Array.from(ids.flatMap((id) => [...values.subarray(id * WIDTH, (id + 1) * WIDTH)])),
    });
    t.same(embed(weights, new Int32Array(0)).shape, [0, WIDTH]);
  });
}

t.test('a token without a row, and a file that has become shorter', async (t) => {
  const file = join(t.testdir({}), 'model');
  const weights = tableIn(file, 'F32');
  for (const id of [-1, ROWS])
    t.throws(() => embed(weights, Int32Array.of(id)), {
      message: `the embedding has 7 rows, but none for token ${id}`,
    });
  const { offset, bytes } = weights.get(NAME)!;
  writeFileSync(file, readFileSync(file).subarray(0, offset + bytes - 1));
  t.ok(embed(weights, Int32Array.of(ROWS - 2)));
  t.throws(() => embed(weights, Int32Array.of(ROWS - 1)), {
    name: 'UserError',
    message: `${file} ends at byte ${offset + bytes - 1}, 1 bytes too early: the file is truncated`,
  });
});
