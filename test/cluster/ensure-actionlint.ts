import { join } from 'node:path';
import { buildGo } from './build-go.ts';
import { cachedBuild } from './go-cache.ts';
import type { Built } from './go-cache.ts';

const SOURCE = join(import.meta.dirname, 'actionlint');

/** A folder with the program `actionlint`, which checks GitHub workflows, built from its Go module. */
export const ensureActionlint = (): Promise<Built> =>
  cachedBuild({
    name: 'actionlint',
    source: SOURCE,
    how: [],
    takes: 'half a minute',
    compile: (into, go) => buildGo(SOURCE, go, join(into, 'actionlint'), ['-ldflags', '-s -w']),
  });
