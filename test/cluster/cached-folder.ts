import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { withLock } from './lock.ts';

/** A folder of what was built, or why there is none. */
export type Built = { readonly folder: string } | { readonly skip: string };

/** Where this user's builds are kept from one run to the next. */
export const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'fedbiot');

/**
 * The folder `path`, into which the first caller's `make` writes while others wait. Whole or not at all: a folder that
 * is there is a build that ended well. What `make` returns is why it cannot be made; it throws when it fails.
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

/** To standard error: standard output is the test protocol's. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}
