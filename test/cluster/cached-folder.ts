import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { withLock } from './lock.ts';

/** A folder with a build, or why there is none. */
export type Built = { readonly folder: string } | { readonly skip: string };

/** The folder in which this user's builds are kept between runs. */
export const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'fedbiot');

/**
 * The folder `path`, into which the first caller's `make` writes while others wait. It is created atomically, so an
 * existing folder is a complete build. `make` returns the reason if it cannot run, and throws if it fails.
 */
export async function cachedFolder(
  path: string,
  name: string,
  make: (into: string) => Promise<{ readonly skip: string } | null>,
): Promise<Built> {
  if (await exists(path)) return { folder: path };
  await mkdir(join(path, '..'), { recursive: true });
  return await withLock(
    `${path}.lock`,
    async () => ((await exists(path)) ? { folder: path } : await makeFolder(path, make)),
    () => tell(`waiting for another process that builds ${name}`),
  );
}

async function makeFolder(
  path: string,
  make: (into: string) => Promise<{ readonly skip: string } | null>,
): Promise<Built> {
  const aside = await mkdtemp(`${path}.new-`);
  try {
    const missing = await make(aside);
    if (missing !== null) return missing;
    await rename(aside, path);
    return { folder: path };
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

export async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** Writes to stderr, because stdout carries the test protocol. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}
