import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { moduleFolder } from './build-go.ts';
import { cachedBuild } from './go-cache.ts';
import type { Built } from './go-cache.ts';

const SOURCE = join(import.meta.dirname, 'monitoring-crds');
const MODULE = 'github.com/prometheus-operator/prometheus-operator';
const KINDS = ['servicemonitors', 'podmonitors', 'prometheusrules'];

/** A folder with the Prometheus Operator's definitions of the kinds that the chart can create, from its Go module. */
export const ensureMonitoringCrds = (): Promise<Built> =>
  cachedBuild({
    name: 'monitoring-crds',
    source: SOURCE,
    how: KINDS,
    takes: 'a second',
    compile: async (into, go) => {
      const examples = join(await moduleFolder(SOURCE, go, MODULE), 'example/prometheus-operator-crd');
      for (const kind of KINDS)
        await cp(join(examples, `monitoring.coreos.com_${kind}.yaml`), join(into, `${kind}.yaml`));
    },
  });
