import { existsSync } from 'node:fs';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../crds/facts/user-error.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { sha256 } from '../files/sha256.ts';
import { READ_ONCE } from '../safetensors/checked-content.ts';
import type { Verification } from '../safetensors/checked-content.ts';
import { bundleFileSha256 } from './content.ts';
import { MANIFEST_FILE, parseManifest } from './manifest.ts';
import { writeBundle } from './write.ts';
import type { WrittenBundle } from './write.ts';

/**
 * Returns a model's bundle from a folder that only this model uses: the bundle of an earlier process if it is intact,
 * or a new one.
 * @throws UserError if it cannot be written; the signal's reason on abort
 */
export async function reuseBundle(
  model: FederatedModel,
  modelDirectory: string,
  directory: string,
  verification = READ_ONCE,
): Promise<WrittenBundle> {
  const found = await intactBundle(directory, model.split, verification);
  if (found !== null) return found;
  await rm(directory, { recursive: true, force: true });
  return writeBundle(model, modelDirectory, directory, verification);
}

async function intactBundle(
  directory: string,
  split: FederatedModel['split'],
  verification: Verification,
): Promise<WrittenBundle | null> {
  const path = join(directory, MANIFEST_FILE);
  if (!existsSync(path)) return null;
  const bytes = await readFile(path);
  try {
    const manifest = parseManifest(bytes);
    for (const part of ['front', 'teacher', 'emulator', 'tail', 'dropped'] as const) {
      if (String(manifest.split[part]) !== String(split[part])) return null;
    }
    for (const file of manifest.files) {
      const name = join(directory, file.name);
      if (
        (await stat(name).catch(() => null))?.size !== file.bytes ||
        (await bundleFileSha256(directory, file.name, verification)) !== file.sha256
      )
        return null;
    }
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
  return { directory, sha256: sha256(bytes), bytes: bytes.byteLength };
}
