import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import t from 'tap';

const root = new URL('../../', import.meta.url).pathname;

/** What a module imports when it runs, not what only its types name. */
function importsOf(path: string): string[] {
  const text = readFileSync(path, 'utf8');
  const found = [
    ...text.matchAll(/^(?:import|export)\s+(?!type\b)(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm),
    ...text.matchAll(/\bimport\(\s*'([^']+)'/g),
  ];
  return found.flatMap(([, specifier]) => (specifier === undefined ? [] : [specifier]));
}

/** All that a program loads: files of this project, and packages. */
function graphOf(entry: string): { files: string[]; packages: string[] } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const visit = (path: string): void => {
    if (files.has(path)) return;
    files.add(path);
    if (!path.endsWith('.ts')) return;
    for (const specifier of importsOf(path)) {
      if (specifier.startsWith('.')) visit(join(dirname(path), specifier));
      else if (!specifier.startsWith('node:')) packages.add(specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/'));
    }
  };
  visit(join(root, entry));
  return { files: [...files].map((path) => relative(root, path)).sort(), packages: [...packages].sort() };
}

t.test('the operator loads nothing that computes: its image has no engine', async (t) => {
  const { files, packages } = graphOf('operator/main.ts');
  t.ok(files.includes('operator/reconcile/reconcile.ts'), 'the graph is walked');
  t.strictSame(
    files.filter((file) => file.startsWith('worker/')),
    [
      'worker/cluster/pod.ts',
      'worker/cluster/progress.ts',
      'worker/cluster/redis-keys.ts',
      'worker/cost.ts',
      'worker/errors.ts',
      'worker/metrics/cost-series.ts',
      'worker/metrics/job-series.ts',
      'worker/metrics/series.ts',
      'worker/report/report-schema.ts',
      'worker/transport/redis/redis-cluster.ts',
      'worker/transport/redis/remove-job-keys.ts',
      'worker/transport/refusal.ts',
    ],
    'of worker: names, shapes, what is told of a job in numbers, and how Redis is reached and left',
  );
  t.notOk(packages.some((name) => /onnx|huggingface|echarts|bullmq/.test(name)), packages.join(' '));
});

t.test('the walk finds an engine where there is one', async (t) => {
  t.ok(graphOf('worker/engine/compute-child.ts').packages.includes('onnxruntime-node'));
});
