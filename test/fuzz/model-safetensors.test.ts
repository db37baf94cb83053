import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { decodeSafetensors, readSafetensorsHeader, readTensor } from '../../worker/safetensors/safetensors.ts';
import { fuzz } from './harness.ts';
import { mutatedBytes, mutatedJson } from './mutations.ts';

const right = readFileSync(new URL('../fixtures/safetensors/mixed.safetensors', import.meta.url));
const headerBytes = Number(right.readBigUInt64LE());
const header: unknown = JSON.parse(right.subarray(8, 8 + headerBytes).toString());

/** A file with the correct length prefix for its header. */
function withHeader(json: string): Buffer {
  const text = Buffer.from(json);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([prefix, text, right.subarray(8 + headerBytes)]);
}

function readAll(path: string): void {
  for (const entry of readSafetensorsHeader(path).tensors.values())
    if (entry.dtype.startsWith('F') || entry.dtype === 'BF16') readTensor(path, entry);
}

for (const [name, inputs] of [
  ['bytes', mutatedBytes(right)],
  ['headers', mutatedJson(header).map(withHeader)],
] as const) {
  t.test(`safetensors, ${name}: read as they are, or refused`, async (t) => {
    const path = join(t.testdir({}), 'x.safetensors');
    const attempt = (bytes: Uint8Array) => {
      writeFileSync(path, bytes);
      readAll(path);
    };
    await fuzz(t, { name: 'files', inputs, runs: 800, attempt });
    await fuzz(t, {
      name: 'packages',
      inputs,
      runs: 800,
      attempt: (bytes) => decodeSafetensors(bytes, { maxBytes: right.length + 1000 }),
    });
  });
}
