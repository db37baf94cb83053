import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import Type from 'typebox';
import Value from 'typebox/value';
import { parse } from 'yaml';
import type { Lab } from '../../cluster/lab/start.ts';
import { startPrometheus } from '../../support/prometheus.ts';
import type { Prometheus } from '../../support/prometheus.ts';

const ROOT = join(import.meta.dirname, '../../..');
const RULES = join(ROOT, 'charts/fedbiot/rules');

const Scrape = Type.Object({ scrape_configs: Type.Array(Type.Object({ kubernetes_sd_configs: Type.Array(Type.Object({ role: Type.String() })) })) });

/** A Prometheus beside the lab's node, with the example's way to find what to scrape, every second, and the chart's rules. */
export async function monitor(t: Pick<Test, 'teardown'>, { kubeconfig }: Lab): Promise<Prometheus> {
  const example: unknown = parse(await readFile(join(ROOT, 'examples/monitoring/scrape.yaml'), 'utf8'));
  const scrapeConfigs = Value.Parse(Scrape, example).scrape_configs.map((config) => ({
    ...config,
    // It is no pod, whose account it could use.
    kubernetes_sd_configs: config.kubernetes_sd_configs.map((each) => ({ ...each, kubeconfig_file: kubeconfig })),
  }));
  const rules = (await readdir(RULES)).map((name) => join(RULES, name));
  return await startPrometheus(t, { scrapeConfigs, rules, interval: '1s' });
}
