import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { buildId, downloadModules, findGo, type Go } from './build-go.ts';
import { withLock } from './lock.ts';

/** Programs built from a Go module. */
export interface GoBuild {
  /** Of the folder in the cache, and in what is told. */
  readonly name: string;
  /** Folder of the module. */
  readonly source: string;
  /** What else the result depends on. */
  readonly how: readonly string[];
  /** How long it takes where nothing is cached. */
  readonly takes: string;
  /** Writes the programs into the folder `into`. */
  compile(into: string, go: Go): Promise<void>;
}

/** A folder of programs, or why there is none. */
export type Built = { readonly folder: string } | { readonly skip: string };

/**
 * The build's folder in a cache by content; the first caller builds while others wait. Throws when the build fails; what the machine
 * lacks is a reason to skip.
 */
export async function cachedBuild(build: GoBuild): Promise<Built> {
  const { name, source, how } = build;
  const go = await findGo(source);
  if ('skip' in go) return { skip: `${name}: ${go.skip}` };
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'fedbiot');
  const folder = join(cache, `${name}-${await buildId(source, go, how)}`);
  if (await exists(folder)) return { folder };
  await mkdir(cache, { recursive: true });
  return await withLock(
    `${folder}.lock`,
    async () => ((await exists(folder)) ? { folder } : await buildInto(folder, build, go)),
    () => tell(`waiting for another process that builds ${name}`),
  );
}

async function buildInto(folder: string, { name, source, takes, compile }: GoBuild, go: Go): Promise<Built> {
  tell(`${name}: fetching its modules`);
  const missing = await downloadModules(source, go);
  if (missing !== null) return { skip: `${name}: ${missing.skip}` };

  tell(`${name}: building; ${takes} of processor time where nothing is cached`);
  const aside = await mkdtemp(`${folder}.new-`);
  try {
    await compile(aside, go);
    // Whole or not at all: a folder that is there is a build that ended well.
    await rename(aside, folder);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  tell(`${name}: ${folder}`);
  return { folder };
}

export async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** To standard error: standard output is the test protocol's. */
function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}
