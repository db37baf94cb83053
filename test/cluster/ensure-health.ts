import { join } from 'node:path';
import { buildGo } from './build-go.ts';
import { cachedBuild } from './go-cache.ts';
import type { Built } from './go-cache.ts';

const SOURCE = join(import.meta.dirname, 'health');

/** A folder with the program `health`, which judges objects by kstatus and by a health script of Argo CD. */
export const ensureHealth = (): Promise<Built> =>
  cachedBuild({
    name: 'health',
    source: SOURCE,
    how: [],
    takes: '2 minutes',
    compile: (into, go) => buildGo(SOURCE, go, join(into, 'health'), ['-ldflags', '-s -w']),
  });
