import { join } from 'node:path';
import { buildId, downloadModules, findGo } from './build-go.ts';
import type { Go } from './build-go.ts';
import { CACHE, cachedFolder, tell } from './cached-folder.ts';
import type { Built } from './cached-folder.ts';

export type { Built } from './cached-folder.ts';

/** Programs built from a Go module. */
export interface GoBuild {
  /** Name of the folder in the cache, and in messages. */
  readonly name: string;
  /** Folder of the module. */
  readonly source: string;
  /** Other inputs of the result. */
  readonly how: readonly string[];
  /** Duration of a build without a cache, in words. */
  readonly takes: string;
  /** Writes the programs into the folder `into`. */
  compile(into: string, go: Go): Promise<void>;
}

/**
 * The folder of a build in a cache by content. The first caller builds while others wait. Throws if the build fails; if
 * the machine lacks something, returns why to skip.
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
