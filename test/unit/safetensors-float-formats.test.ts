// The scan for NaN and infinity, for every pattern of bits and every place in a word.
import t from 'tap';
import { firstNonFinite, widenToFloat32 } from '../../worker/safetensors/float-formats.ts';

for (const dtype of ['BF16', 'F16'] as const) {
  t.test(`${dtype}: each of the 65,536 values is told to be finite or not, at an even and at an odd place`, (t) => {
    const all = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);
    const values = new Float32Array(all.length);
    widenToFloat32(dtype, new Uint8Array(all.buffer), values);
    for (const place of [0, 1]) {
      const wrong = [...all].filter((bits) => {
        const halves = new Uint16Array(3);
        halves[place] = bits;
        return firstNonFinite(dtype, new Uint8Array(halves.buffer)) !== (Number.isFinite(values[bits]) ? -1 : place);
      });
      t.strictSame(wrong, []);
    }
    t.end();
  });
}

t.test('the first such element is found at any place, whatever the alignment of the bytes', (t) => {
  const inf = { F32: [0, 0, 0x80, 0xff], BF16: [0x80, 0x7f], F16: [1, 0xfc] } as const;
  // The largest finite value of each format: no sum of its halves may look like an infinity.
  const largest = { F32: [0xff, 0xff, 0x7f, 0x7f], BF16: [0x7f, 0x7f], F16: [0xff, 0x7b] } as const;
  const LENGTH = 20_001;
  for (const dtype of ['F32', 'BF16', 'F16'] as const) {
    const width = inf[dtype].length;
    for (const shift of [0, 1, 2, 3]) {
      const bytes = new Uint8Array(LENGTH * width + shift).subarray(shift);
      for (let i = 0; i < LENGTH; i++) bytes.set(largest[dtype], i * width);
      t.equal(firstNonFinite(dtype, bytes), -1, `${dtype} all finite`);
      for (const place of [LENGTH - 1, LENGTH - 2, 12_288, 8192, 8191, 4097, 1, 0]) {
        bytes.set(inf[dtype], place * width);
        t.equal(firstNonFinite(dtype, bytes), place, `${dtype} at ${place}, shifted by ${shift}`);
      }
    }
  }
  t.equal(firstNonFinite('F16', new Uint8Array(0)), -1, 'nothing');
  t.end();
});
