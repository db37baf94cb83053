import { join } from 'node:path';
import { fileState } from '../files/file-state.ts';
import { fileSha256 } from '../files/sha256.ts';
import { checkedContent } from '../safetensors/checked-content.ts';
import type { Verification } from '../safetensors/checked-content.ts';
import type { FileContent } from '../safetensors/content.ts';
import { WEIGHTS_FILE } from './manifest.ts';

/** What a pass over the weights of a bundle finds out. A process that has fetched or written them reads them once. */
export function bundleWeights(directory: string, verification: Verification): Promise<FileContent> {
  const path = join(directory, WEIGHTS_FILE);
  return checkedContent(path, fileState(path), verification);
}

/** SHA-256 (hex) of a file of a bundle. */
export async function bundleFileSha256(directory: string, name: string, verification: Verification): Promise<string> {
  return name === WEIGHTS_FILE
    ? (await bundleWeights(directory, verification)).sha256
    : fileSha256(join(directory, name));
}
