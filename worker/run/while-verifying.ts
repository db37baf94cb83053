import type { ModelDirectory } from '../model/directory.ts';
import { verificationIn } from '../safetensors/checked-content.ts';

export interface VerifyOptions {
  /** Read the model's files again, even if their content is remembered. */
  readonly verify: boolean;
  /** Folder that remembers the content of files between processes; null: none. */
  readonly cache: string | null;
  readonly signal?: AbortSignal;
}

/**
 * Reads a model's files in the background of `work`, which awaits `verified` before it uses a result: the model's
 * SHA-256, or the error of `ModelDirectory.sha256`. The reading ends with `work`.
 */
export async function whileVerifying<T>(
  model: ModelDirectory,
  { verify, cache, signal }: VerifyOptions,
  work: (verified: Promise<string>) => Promise<T>,
): Promise<T> {
  const ended = new AbortController();
  const either = signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]);
  const verified = model.sha256(verificationIn(cache, { again: verify, signal: either }));
  // If the work fails first, that is the error to report.
  verified.catch(() => {});
  try {
    return await work(verified);
  } finally {
    ended.abort();
  }
}
