import { readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import type { V1Pod } from '@kubernetes/client-node';
import type { Test } from 'tap';
import Type from 'typebox';
import Value from 'typebox/value';
import { parse } from 'yaml';
import type { Lab } from '../../cluster/lab/start.ts';
import { startPrometheus } from '../../support/prometheus.ts';
import type { Prometheus } from '../../support/prometheus.ts';

const ROOT = join(import.meta.dirname, '../../..');
const RULES = join(ROOT, 'charts/fedbiot/rules');

const Scrape = Type.Object({
  scrape_configs: Type.Array(
    Type.Object({ kubernetes_sd_configs: Type.Array(Type.Object({ role: Type.Literal('pod') })) }),
  ),
});

/**
 * A Prometheus beside the lab's node, with the example's scrape configuration, every second, and the chart's rules.
 * Debian's Prometheus is built without Kubernetes discovery, which a file replaces.
 */
export async function monitor(t: Pick<Test, 'teardown'>, { folder, kubeconfig }: Lab): Promise<Prometheus> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const api = config.makeApiClient(CoreV1Api);
  const found = join(folder, 'pods.json');
  const look = async () => {
    const { items } = await api.listPodForAllNamespaces();
    await writeFile(`${found}.new`, JSON.stringify(items.flatMap(targetsOf)));
    await rename(`${found}.new`, found);
  };
  await look();
  // A single failure is retried in a second; a lasting one fails the test.
  const timer = setInterval(() => void look().catch(() => undefined), 1_000);
  t.teardown(() => clearInterval(timer));

  const example: unknown = parse(await readFile(join(ROOT, 'examples/monitoring/scrape.yaml'), 'utf8'));
  if (!Value.Check(Scrape, example)) throw new Error('the example finds its targets in another way');
  const scrapeConfigs = example.scrape_configs.map(({ kubernetes_sd_configs: _, ...rest }) => ({
    ...rest,
    file_sd_configs: [{ files: [found] }],
  }));
  const rules = await Promise.all(
    (await readdir(RULES)).map((name) => hastened(join(RULES, name), join(folder, `rules-${name}`))),
  );
  return await startPrometheus(t, { scrapeConfigs, rules, interval: '1s' });
}

/**
 * The rules in `from`, evaluated at every scrape. At their own interval, the job's last rounds could lie between two
 * evaluations.
 */
async function hastened(from: string, to: string): Promise<string> {
  await writeFile(to, (await readFile(from, 'utf8')).replaceAll(/^ +interval: .*\n/gm, ''));
  return to;
}

/**
 * In the form of Prometheus's discovery of role pod: one target for each port of a container, with labels about the
 * pod.
 */
function targetsOf({ metadata, spec, status }: V1Pod): object[] {
  const address = status?.podIP;
  if (address === undefined) return [];
  const labels = Object.entries(metadata?.labels ?? {}).map(([name, value]) => [
    `__meta_kubernetes_pod_label_${name.replaceAll(/\W/g, '_')}`,
    value,
  ]);
  const ports = spec?.containers.flatMap((container) => container.ports ?? []) ?? [];
  return ports.map(({ name = '', containerPort }) => ({
    targets: [`${address}:${containerPort}`],
    labels: {
      __meta_kubernetes_namespace: metadata?.namespace,
      __meta_kubernetes_pod_name: metadata?.name,
      __meta_kubernetes_pod_phase: status?.phase,
      __meta_kubernetes_pod_container_port_name: name,
      ...Object.fromEntries(labels),
    },
  }));
}
