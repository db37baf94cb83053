// The Dockerfile against the rest of the project: what it installs, which versions, how it is pinned.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { graphOf } from '../support/import-graph.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const cudaLibraries = read('docker/cuda-libraries.txt');
const dockerfile = read('Dockerfile').replaceAll(/ \\\n */g, ' ');
const { version, dependencies }: { version: string; dependencies: Record<string, string> } = JSON.parse(
  read('package.json'),
);
const lock: { packages: Record<string, { version: string }> } = JSON.parse(read('package-lock.json'));

const argument = (name: string) => new RegExp(`^ARG ${name}=(\\S*)$`, 'm').exec(dockerfile)?.[1] ?? '';
const locked = (name: string) => lock.packages[`node_modules/${name}`]?.version ?? '';

/** The packages that a target's stage leaves in package.json. */
function installed(target: string): string[] {
  const removed = new RegExp(`^FROM packages AS ${target}-packages\nRUN .*?npm uninstall (.*?) && `, 'm')
    .exec(dockerfile)?.[1]
    ?.split(' ');
  if (removed === undefined) throw new Error(`no packages of ${target}`);
  const names = removed.filter((word) => !word.startsWith('--'));
  t.same(
    names.filter((name) => !(name in dependencies)),
    [],
    `${target}: what is left out is a dependency`,
  );
  return Object.keys(dependencies)
    .filter((name) => !names.includes(name))
    .sort();
}

t.test('an image has the packages that its programs import, and no others', async (t) => {
  t.strictSame(installed('operator'), graphOf('operator/main.ts', 'operator/smoke-test.ts').packages);
  t.strictSame(
    installed('worker'),
    graphOf('worker/launch.js', 'worker/fedbiot.ts', 'worker/engine/compute-child.ts').packages,
  );
});

t.test('versions are those of the packages', async (t) => {
  t.match(argument('NODE_IMAGE'), `/node:${locked('node')}-`, 'the Node that tests run on');
  t.match(
    cudaLibraries,
    `onnxruntime-gpu==${locked('onnxruntime-node')} `,
    'a provider is loaded by the onnxruntime of its own version',
  );
  t.equal(argument('VERSION'), version);
});

t.test('whatever is fetched is pinned', async (t) => {
  const stages = new Set([...dockerfile.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, name]) => name));
  for (const [, image = ''] of dockerfile.matchAll(/^FROM (\S+)/gm)) {
    if (image === 'scratch' || stages.has(image)) continue;
    const name = /^\$\{(\w+)\}$/.exec(image)?.[1];
    t.match(name === undefined ? image : argument(name), /^[\w./-]+:\d[\w.-]+@sha256:[\da-f]{64}$/, image);
  }
  for (const line of cudaLibraries
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('#'))) {
    t.match(line, /^[\w-]+==[\d.]+ --hash=sha256:[\da-f]{64}$/, line);
  }
});
