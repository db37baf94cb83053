import { readFileSync, writeFileSync } from 'node:fs';
import { readSafetensorsHeader } from '../../worker/safetensors/safetensors.ts';

/** Sets all values of a float32 tensor in a *.safetensors file. */
export function fillWeight(path: string, name: string, value: number): void {
  const { offset, bytes } = readSafetensorsHeader(path).tensors.get(name)!;
  const content = readFileSync(path);
  for (let at = 0; at < bytes; at += 4) content.writeFloatLE(value, offset + at);
  writeFileSync(path, content);
}
