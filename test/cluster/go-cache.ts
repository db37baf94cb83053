import { join } from 'node:path';
import { buildId, downloadModules, findGo } from './build-go.ts';
import type { Go } from './build-go.ts';
import { CACHE, cachedFolder, tell } from './cached-folder.ts';
import type { Built } from './cached-folder.ts';

export type { Built } from './cached-folder.ts';

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

/**
 * The build's folder in a cache by content; the first caller builds while others wait. Throws when the build fails;
 * what the machine lacks is a reason to skip.
 */
export async function cachedBuild({ name, source, how, takes, compile }: GoBuild): Promise<Built> {
  const go = await findGo(source);
  if ('skip' in go) return { skip: `${name}: ${go.skip}` };
  return await cachedFolder(join(CACHE, `${name}-${await buildId(source, go, how)}`), name, async (into) => {
    tell(`${name}: fetching its modules`);
    const missing = await downloadModules(source, go);
    if (missing !== null) return { skip: `${name}: ${missing.skip}` };
    tell(`${name}: building; ${takes} of processor time where nothing is cached`);
    await compile(into, go);
    return null;
  });
}
