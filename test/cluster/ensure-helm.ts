import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { buildGo } from './build-go.ts';
import { cachedBuild } from './go-cache.ts';
import type { Built } from './go-cache.ts';

const SOURCE = join(import.meta.dirname, 'helm');

/**
 * A folder with the program `helm`: from FEDBIOT_HELM, the PATH, or a build. Throws if the build fails; if the machine
 * lacks something, returns why to skip.
 */
export async function ensureHelm(): Promise<Built> {
  const given = process.env['FEDBIOT_HELM'];
  if (given !== undefined && given !== '') {
    if (hasHelm(given)) return { folder: given };
    throw new Error(`FEDBIOT_HELM=${given} is no folder with the program helm`);
  }
  const installed = (process.env['PATH'] ?? '').split(delimiter).find(hasHelm);
  if (installed !== undefined) return { folder: installed };
  return await cachedBuild({
    name: 'helm',
    source: SOURCE,
    how: [],
    takes: '4 minutes',
    compile: (into, go) => buildGo(SOURCE, go, join(into, 'helm'), ['-ldflags', '-s -w']),
  });
}

function hasHelm(folder: string): boolean {
  try {
    accessSync(join(folder, 'helm'), constants.X_OK);
    return folder !== '';
  } catch {
    return false;
  }
}
