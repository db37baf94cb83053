import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSafetensorsHeader, writeSafetensors } from '../../worker/safetensors/safetensors.ts';
import type { TensorData } from '../../worker/safetensors/safetensors.ts';

export const FAMILIES = fileURLToPath(new URL('../fixtures/families/', import.meta.url));

/** Copies a fixture into a directory, so that a test may damage it. */
export function copyTo(dir: string, family: string): string {
  cpSync(join(FAMILIES, family), dir, { recursive: true });
  return dir;
}

/** Writes a directory's model.safetensors with changed tensors. */
export function rewrite(
  dir: string,
  change: (tensors: TensorData[]) => TensorData[],
  file = 'model.safetensors',
): void {
  const path = join(dir, file);
  const content = readFileSync(path);
  // prettier-ignore
  const tensors = [...readSafetensorsHeader(path).tensors].map(([name, { dtype, shape, offset, bytes }]) => ({
    name, dtype, shape, data: Buffer.from(content.subarray(offset, offset + bytes)),
  }));
  writeSafetensors(path, change(tensors));
}
