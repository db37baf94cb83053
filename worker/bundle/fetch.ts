import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../../crds/facts/user-error.ts';
import { freeBytes } from '../files/free-space.ts';
import { SystemFailure, systemFailure } from '../files/system-failure.ts';
import { lockFolder } from '../files/folder-lock.ts';
import { verificationIn } from '../safetensors/checked-content.ts';
import { bundleFileSha256 } from './content.ts';
import { MANIFEST_FILE, MAX_MANIFEST_BYTES, parseManifest } from './manifest.ts';
import type { BundleFile } from './manifest.ts';

export interface FetchOptions {
  /** URL of the server pod, http://…. */
  readonly serverUrl: string;
  readonly token: string;
  /** Folder that holds bundles by their id. One process at a time may fetch a bundle into it. */
  readonly cache: string;
  readonly signal: AbortSignal;
  /** First delay before a retry, in milliseconds. It doubles up to sixteen times that. */
  readonly retryMs?: number;
  /**
   * How long the server may refuse the token, in milliseconds. The Secret may have changed, and a new server pod may be
   * starting.
   */
  readonly refusedMs?: number;
}

/**
 * The server's token differs from the one that the job's Secret had when this process started. One of the two processes
 * must restart.
 */
export class TokenRefused extends UserError {
  override readonly name = 'TokenRefused';
}

const REFUSED_MS = 60_000;

/** A file that arrives damaged is fetched again, up to this many times. */
const DAMAGED_ATTEMPTS = 3;

/**
 * Fetches a bundle. Continues where an earlier attempt or process stopped, and waits while the server is unavailable. A
 * file is used only after its SHA-256 was checked, and never read beyond its announced size.
 * @returns the bundle's folder
 * @throws TokenRefused if the server keeps refusing the token; UserError if it sends something else than it announced;
 * the signal's reason on abort
 */
export async function fetchBundle(
  announced: { readonly sha256: string; readonly bytes: number },
  options: FetchOptions,
): Promise<string> {
  const { sha256, bytes } = announced;
  if (!/^[0-9a-f]{64}$/.test(sha256) || !Number.isSafeInteger(bytes) || bytes < 1 || bytes > MAX_MANIFEST_BYTES) {
    throw new UserError('the server announced something that is not an emulator bundle');
  }
  const { cache } = options;
  const folder = join(cache, sha256);
  if (existsSync(folder)) return folder;
  const part = `${folder}.part`;
  await mkdir(part, { recursive: true });
  const lock = lockFolder(part);
  try {
    const manifest: Wanted = { name: MANIFEST_FILE, bytes, sha256 };
    await fetchFile(manifest, sha256, part, options);
    const { files } = parseManifest(await readFile(join(part, MANIFEST_FILE)));
    await requireSpace(part, files);
    for (const file of files) await fetchFile(file, sha256, part, options);
  } finally {
    lock.release();
  }
  await rename(part, folder);
  return folder;
}

/** @throws SystemFailure if the file system has no space for the rest of the files */
async function requireSpace(part: string, files: readonly Wanted[]): Promise<void> {
  let missing = 0;
  for (const { name, bytes } of files)
    missing += Math.max(0, bytes - ((await stat(join(part, name)).catch(() => null))?.size ?? 0));
  const free = freeBytes(part);
  if (free === null || missing <= free) return;
  throw new SystemFailure(
    'full',
    `the emulator bundle needs ${missing} more bytes in ${part}, whose file system has only ${free} free`,
    { hint: 'Raise the limit or the size of the client pods’ ephemeral storage.' },
  );
}

type Wanted = Pick<BundleFile, 'bytes' | 'sha256'> & { readonly name: string };

async function fetchFile(file: Wanted, id: string, part: string, options: FetchOptions): Promise<void> {
  const path = join(part, file.name);
  const { cache, signal, retryMs = 500, refusedMs = REFUSED_MS } = options;
  let refusedAt: number | null = null;
  let damaged = 0;
  for (let attempt = 0; ; attempt++) {
    const held = (await stat(path).catch(() => null))?.size ?? 0;
    if (held === file.bytes && existsSync(path)) {
      if ((await bundleFileSha256(part, file.name, verificationIn(cache, { signal }))) === file.sha256) return;
      damaged += 1;
      await rm(path);
      if (damaged >= DAMAGED_ATTEMPTS)
        throw new UserError(`${file.name} of the emulator bundle arrived damaged ${damaged} times`);
    } else if (held > file.bytes) await rm(path);
    else if (attempt > 0) await delay(retryMs * 2 ** Math.min(attempt - 1, 4), undefined, { signal });
    signal.throwIfAborted();
    try {
      await receive(file, id, path, options);
    } catch (error) {
      signal.throwIfAborted();
      refusedAt = error instanceof TokenRefused ? (refusedAt ?? performance.now()) : null;
      if (refusedAt !== null && performance.now() - refusedAt < refusedMs) continue;
      // Network errors are retried; failures of this machine are not.
      const failure = systemFailure(error, `cannot write ${path}`);
      if (failure instanceof UserError) throw failure;
    }
  }
}

/** Fetches the missing rest of the file. */
async function receive(
  file: Wanted,
  id: string,
  path: string,
  { serverUrl, token, signal }: FetchOptions,
): Promise<void> {
  const out = await open(path, 'a');
  try {
    let { size } = await out.stat();
    if (size >= file.bytes) return;
    const response = await fetch(new URL(`/bundle/${id}/${file.name}`, serverUrl), {
      headers: { authorization: `Bearer ${token}`, range: `bytes=${size}-`, 'accept-encoding': 'identity' },
      redirect: 'manual',
      signal,
    });
    if (response.status === 401) {
      await response.body?.cancel();
      throw new TokenRefused('the server refuses the token of the job', {
        hint: 'The token in the job’s Secret was changed, and pods that started earlier have the old one. Restore it, or delete the server pod.',
      });
    }
    const begins = `bytes ${size}-${file.bytes - 1}/${file.bytes}`;
    if (response.status !== 206 || response.headers.get('content-range') !== begins || !response.body) {
      await response.body?.cancel();
      if (response.status >= 500 || response.status === 404) throw new Error(`status ${response.status}`);
      if (response.status >= 300 && response.status !== 416) {
        throw new UserError(
          `the server answers with status ${response.status} instead of ${file.name} of the emulator bundle`,
          {
            hint: 'Another program, such as a proxy, answers at the server’s address. Pods of a job must reach each other directly.',
          },
        );
      }
      throw new UserError(`${file.name} of the emulator bundle is not as large as announced`);
    }
    for await (const chunk of response.body) {
      size += chunk.byteLength;
      if (size > file.bytes) throw new UserError(`${file.name} of the emulator bundle is larger than announced`);
      await out.writeFile(chunk);
    }
  } finally {
    await out.close();
  }
}
