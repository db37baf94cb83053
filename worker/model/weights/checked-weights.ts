import { UserError } from '../../../crds/facts/user-error.ts';
import type { FileState } from '../../files/file-state.ts';
import { checkedContent } from '../../safetensors/checked-content.ts';
import type { Verification } from '../../safetensors/checked-content.ts';
import type { FileContent } from '../../safetensors/content.ts';
import type { WeightIndex } from './weight-index.ts';

/**
 * Checks that all weights are finite.
 * @param files the files that hold them, by absolute path, and the state of each when it was indexed
 * @returns the SHA-256 (hex) of each file
 * @throws UserError that names the first element that is not finite; if a file was changed since then, or cannot be
 *   read
 */
export async function checkWeights(
  weights: WeightIndex,
  files: ReadonlyMap<string, FileState>,
  verification: Verification,
): Promise<ReadonlyMap<string, string>> {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(verification.signal ? [verification.signal] : [])]);
  const reading = [...files].map(([path, state]) => {
    const content = checkedContent(path, state, { ...verification, signal });
    // Awaited below, in the order of files: of several errors, the same is reported each time.
    content.catch(() => {});
    return { path, content };
  });
  const digests = new Map<string, string>();
  try {
    for (const { path, content } of reading) {
      const { sha256, nonFinite } = await content;
      requireFinite(weights, path, nonFinite);
      digests.set(path, sha256);
    }
  } finally {
    stop.abort();
  }
  return digests;
}

/** @throws UserError if a weight in the file is not finite */
export function requireFinite(weights: WeightIndex, path: string, nonFinite: FileContent['nonFinite']): void {
  if (Object.keys(nonFinite).length === 0) return;
  for (const [name, { file, shape }] of weights) {
    const found = nonFinite[name];
    if (file !== path || found === undefined) continue;
    throw new UserError(`weight ${name} in ${file} is NaN or infinite at [${coordinates(found, shape).join(', ')}]`, {
      hint: 'The checkpoint is damaged, or was saved in float16 after an overflow; use another copy.',
    });
  }
}

/** Row-major coordinates of a flat index. */
function coordinates(flat: number, shape: readonly number[]): number[] {
  const out: number[] = [];
  for (const size of shape.toReversed()) {
    out.unshift(flat % size);
    flat = Math.floor(flat / size);
  }
  return out;
}
