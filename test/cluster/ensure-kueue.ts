import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buildGo, moduleFolder } from './build-go.ts';
import { cachedBuild } from './go-cache.ts';
import type { Built } from './go-cache.ts';

const SOURCE = join(import.meta.dirname, 'kueue');
const MODULE = 'sigs.k8s.io/kueue';

/**
 * A folder with the program `kueue`, its definitions of kinds in `crds`, and its webhooks in webhooks.yaml, all from
 * the version of its Go module in kueue/go.mod (to change it: `go get -tool`, then `go mod tidy`). Throws if the build
 * fails; if the machine lacks something, returns why to skip.
 */
export const ensureKueue = (): Promise<Built> =>
  cachedBuild({
    name: 'kueue',
    source: SOURCE,
    how: [],
    takes: '5 minutes',
    compile: async (into, go) => {
      const components = join(await moduleFolder(SOURCE, go, MODULE), 'config/components');
      const crds = join(components, 'crd/bases');
      await mkdir(join(into, 'crds'));
      for (const name of await readdir(crds)) await copyFile(join(crds, name), join(into, 'crds', name));
      await copyFile(join(components, 'webhook/manifests.yaml'), join(into, 'webhooks.yaml'));
      await buildGo(SOURCE, go, join(into, 'kueue'), ['-ldflags', '-s -w'], `${MODULE}/cmd/kueue`);
    },
  });
