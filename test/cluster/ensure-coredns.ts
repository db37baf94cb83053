import { join } from 'node:path';
import { buildGo } from './build-go.ts';
import { cachedBuild } from './go-cache.ts';
import type { Built } from './go-cache.ts';

const SOURCE = join(import.meta.dirname, 'coredns');

/**
 * A folder with the program `coredns`. Throws if the build fails; if the machine lacks something, returns why to skip.
 */
export const ensureCoreDns = (): Promise<Built> =>
  cachedBuild({
    name: 'coredns',
    source: SOURCE,
    how: [],
    takes: '3 minutes',
    compile: (into, go) => buildGo(SOURCE, go, join(into, 'coredns'), ['-ldflags', '-s -w']),
  });
