import fc from 'fast-check';
import t from 'tap';
import { layoutOf } from '../../worker/safetensors/tensor-layout.ts';
import { encodeSafetensors, float32Tensor } from '../../worker/safetensors/safetensors.ts';
import { maxSealedBytes, open, seal, sealedBytes } from '../../worker/transport/package.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { Refused } from '../../crds/facts/refusal.ts';

const layout = layoutOf([
  { name: 'a', shape: [2, 3] },
  { name: 'b', shape: [4] },
]);
const vector = Float32Array.from({ length: layout.size }, (_, i) => i / 7);

function reasonOf(bytes: Uint8Array): string {
  try {
    open(bytes, layout, 'the package');
    return 'accepted';
  } catch (error) {
    if (error instanceof Refused) return error.reason;
    throw error;
  }
}

t.test('a sealed vector is read back, bit for bit', async (t) => {
  const seed = Date.now() % 2 ** 31;
  fc.assert(
    fc.property(
      fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 10, maxLength: 10 }),
      (values) => {
        const sealed = seal(layout, Float32Array.from(values), { round: '3' });
        const { vector, metadata } = open(sealed.bytes, layout, 'the package');
        return (
          Buffer.from(vector.buffer).equals(Buffer.from(Float32Array.from(values).buffer)) && metadata['round'] === '3'
        );
      },
    ),
    { seed, numRuns: 100 },
  );
  t.pass(`seed ${seed}`);
  const sealed = seal(layout, vector);
  t.equal(sealed.sha256, sha256(sealed.bytes));
  t.equal(seal(layout, vector.slice()).sha256, sealed.sha256, 'equal values make equal bytes');
  t.ok(sealed.bytes.byteLength <= maxSealedBytes(layout));
  t.throws(() => seal(layout, new Float32Array(9)), /9 elements for a layout of 10/);
});

t.test('anything else is refused, with its reason', async (t) => {
  const [a, b] = [float32Tensor('a', [2, 3], new Float32Array(6)), float32Tensor('b', [4], new Float32Array(4))];
  const halves = { name: 'b', dtype: 'F16', shape: [4], data: new Uint8Array(8) } as const;
  const { bytes } = seal(layout, vector);
  t.equal(reasonOf(bytes), 'accepted');
  t.equal(reasonOf(encodeSafetensors([a])), 'wrong-shape', 'a tensor is missing');
  t.equal(
    reasonOf(encodeSafetensors([a, b, float32Tensor('c', [1], new Float32Array(1))])),
    'wrong-shape',
    'one too many',
  );
  t.equal(
    reasonOf(encodeSafetensors([a, float32Tensor('b', [2, 2], new Float32Array(4))])),
    'wrong-shape',
    'another shape',
  );
  t.equal(reasonOf(encodeSafetensors([a, halves])), 'wrong-shape', 'another dtype');
  t.equal(reasonOf(new Uint8Array(maxSealedBytes(layout) + 1)), 'too-large');
  t.equal(reasonOf(new Uint8Array(0)), 'malformed');
  t.equal(reasonOf(bytes.subarray(0, bytes.byteLength - 1)), 'malformed', 'truncated');
  t.equal(
    reasonOf(Uint8Array.from(bytes, (byte, i) => (i < 8 ? 0xff : byte))),
    'malformed',
    'a header as long as the world',
  );
  for (const wrong of [NaN, Infinity, -Infinity]) {
    const { bytes } = seal(layout, vector.with(7, wrong));
    t.equal(reasonOf(bytes), 'not-finite');
    t.throws(() => open(bytes, layout, 'the result'), { message: `the result: b holds ${wrong} at element 1` });
  }
});

t.test('for any bytes, the only error is a refusal', async (t) => {
  const { bytes } = seal(layout, vector);
  const seed = Date.now() % 2 ** 31;
  fc.assert(
    fc.property(fc.nat(bytes.byteLength - 1), fc.nat(255), fc.nat(bytes.byteLength), (at, byte, length) => {
      const changed = bytes.slice(0, Math.max(length, at + 1));
      changed[at] = byte;
      reasonOf(changed);
    }),
    { seed, numRuns: 500 },
  );
  t.pass(`seed ${seed}`);
});

t.test('the size of a package is known before it is made', async (t) => {
  // In another order than that of the file, so that offsets have different numbers of digits.
  const slices = Array.from({ length: 40 }, (_, i) => ({
    name: `layers.${(i * 7) % 40}.q_proj.lora_${i % 2 === 0 ? 'B' : 'A'}`,
    shape: [1 + ((i * 13) % 29), 3],
  }));
  const layout = layoutOf(slices);
  const metadata = { job: 'a job', round: '12' };
  const { byteLength } = seal(layout, new Float32Array(layout.size), metadata).bytes;
  t.equal(sealedBytes(layout, metadata), byteLength);
  t.ok(maxSealedBytes(layout) > byteLength);
});
