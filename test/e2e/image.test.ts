// The Dockerfile's images, built by buildah: their contents, and their programs run as in a pod.
import { chown, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { REVISION, TARGETS, ensureImages, referenceOf } from '../support/image-build.ts';
import type { Target } from '../support/image-build.ts';
import { filesOf, machineOf, packagesIn } from '../support/image-contents.ts';
import type { Bill } from '../support/image-contents.ts';
import { startIn, unpackImage } from '../support/image-root.ts';
import type { ImageRoot } from '../support/image-root.ts';
import { until } from '../support/until.ts';

const ROOT = join(import.meta.dirname, '../..');
const USER = 65532;

/** Maximum size of an image, unpacked. */
const MAX_BYTES: Readonly<Record<Target, number>> = { operator: 260e6, worker: 320e6 };

// Includes a first build.
t.setTimeout(20 * 60_000);

const read = async (...path: readonly string[]) => JSON.parse(await readFile(join(...path), 'utf8'));

const images = await ensureImages();
if ('skip' in images) {
  await t.test('images', { skip: `SKIPPED: ${images.skip}` }, () => {});
} else {
  for (const target of TARGETS) {
    await t.test(target, async (t) => {
      const folder = t.testdir({ output: {} });
      const output = join(folder, 'output');
      await chown(output, USER, USER);
      const image = await unpackImage(join(images.folder, `${target}.tar`), join(folder, 'root'));
      // Before mount points are created in it.
      await testContents(t, target, image);
      await (target === 'operator' ? testOperator(t, image, output) : testWorker(t, image, output));
    });
  }
}

async function testContents(t: Pick<Test, 'test'>, target: Target, image: ImageRoot): Promise<void> {
  const { version }: { version: string } = await read(ROOT, 'package.json');
  const app = join(image.folder, 'app');

  await t.test('an image has labels, a user and an entry point', async (t) => {
    t.equal(image.reference, referenceOf(target));
    t.match(image.config, { User: `${USER}:${USER}`, WorkingDir: '/app', StopSignal: 'SIGTERM' });
    const label = (name: string) => image.config.Labels[`org.opencontainers.image.${name}`];
    t.match(label('title'), `FedBiOT ${target}`);
    t.match([label('licenses'), label('version'), label('revision')], ['Apache-2.0', version, REVISION]);
    t.match([label('description'), label('source')], [/large language models/, '']);
  });

  await t.test('an image contains no tools to build, install or explore', async (t) => {
    const files = await filesOf(image);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    t.comment(`${target}: ${Math.round(bytes / 1e6)} MB unpacked`);
    t.ok(bytes <= MAX_BYTES[target], `${bytes} bytes`);
    const system = files.filter(({ path }) => !path.startsWith('app/'));
    t.strictSame(
      system.filter(({ path, executable }) => executable && !/\.so(\.\d+)*$/.test(path)).map(({ path }) => path),
      ['usr/local/bin/node'],
    );
    const build = /^(root|run|proc|var\/(?!lib\/dpkg\/status\.d\/))|(^|\/)(npm|npx|corepack|apt|dpkg|busybox|pip)$/;
    t.strictSame(
      files.filter(({ path }) => build.test(path)),
      [],
      'no package manager, and nothing of the build',
    );
    t.strictSame(
      await readdir(join(image.folder, 'var/lib/dpkg/status.d')),
      ['gcc-12-base', 'libc6', 'libgcc-s1', 'libstdc++6'],
      'what scanners look for',
    );
  });

  await t.test("it has no other platform's binaries", async (t) => {
    const native = (await filesOf(image)).filter(({ path }) => /\.(node|so(\.\d+)*|dll|dylib|exe)$/.test(path));
    t.ok(native.length > 5, `${native.length} native files`);
    const own = await machineOf(process.execPath);
    for (const { path } of native) t.equal(await machineOf(join(image.folder, path)), own, path);
  });

  await t.test('it has the packages that its list names, and none of development', async (t) => {
    const { packages }: { packages: Record<string, { dev?: boolean }> } = await read(ROOT, 'package-lock.json');
    const installed = await packagesIn(app);
    t.strictSame(
      [...installed.keys()].filter((path) => packages[path]?.dev !== undefined),
      [],
    );
    const bill: Bill = await read(app, 'sbom.cdx.json');
    t.match(bill, {
      bomFormat: 'CycloneDX',
      specVersion: /^1\.\d$/,
      metadata: { component: { name: target === 'operator' ? 'fedbiot-operator' : 'fedbiot', version } },
    });
    const listed = bill.components.map(({ name, version }) => `${name}@${version}`);
    t.strictSame([...new Set(listed)].sort(), [...new Set(installed.values())].sort());
    t.strictSame(
      bill.components.filter(
        ({ purl, licenses, hashes }) => !purl?.startsWith('pkg:npm/') || !licenses?.length || !hashes?.length,
      ),
      [],
    );
    t.equal(
      listed.some((name) => name.startsWith('onnxruntime-node@')),
      target === 'worker',
    );
  });
}

async function testOperator(t: Pick<Test, 'test'>, image: ImageRoot, output: string): Promise<void> {
  await t.test('the operator starts, with nothing that computes', async (t) => {
    const { code, stdout, stderr } = await (await startIn(image, [...image.config.Cmd, '--help'], output)).ended;
    t.equal(code, 0, stderr);
    t.match(stdout, /--worker-image/);
  });
}

async function testWorker(t: Pick<Test, 'test'>, image: ImageRoot, output: string): Promise<void> {
  const fedbiot = async (...args: readonly string[]) =>
    await startIn(image, ['node', 'worker/launch.js', ...args], output);

  await t.test('it plans the example that it carries', async (t) => {
    const { code, stdout, stderr } = await (await fedbiot('plan', 'examples/quickstart.yaml')).ended;
    t.equal(code, 0, stderr);
    t.match(stdout, /emulator, once per client/);
  });

  await t.test('an image writes only to its writable folders', async (t) => {
    const script = `
      console.log(process.getuid(), process.pid);
      for (const folder of ['/app', '/usr', '/tmp', '/output']) {
        try { fs.writeFileSync(folder + '/file', ''); console.log(folder); } catch ({ code }) { console.log(code); }
      }`;
    const { stdout } = await (await startIn(image, ['node', '--eval', script], output)).ended;
    t.strictSame(
      stdout.trim().split('\n'),
      [`${USER} 1`, 'EROFS', 'EROFS', '/tmp', '/output'],
      'as the first process of its namespace',
    );
  });

  await t.test('a run that is stopped writes a checkpoint first', async (t) => {
    const program = await fedbiot('run', 'examples/quickstart.yaml', '--out', '/output/run');
    const run = join(output, 'run');
    await until('it trains', 300, async () => {
      const metrics = await readFile(join(run, 'metrics.jsonl'), 'utf8').catch(() => '');
      return metrics.includes('"event":"step"') ? true : null;
    });
    await program.kill('SIGTERM');
    const { code, stderr } = await program.ended;
    t.equal(code, 130, stderr);
    t.match(stderr, /writing a checkpoint/);
    t.notMatch(stderr, /telemetry/, 'onnxruntime tells nobody');
    const newest = (await readdir(join(run, 'checkpoints')))
      .filter((name) => name.startsWith('round-'))
      .sort()
      .at(-1);
    t.match(newest, /^round-0001-part-/, 'of the round that it was in');
    t.match(await read(run, 'checkpoints', newest ?? '', 'state.json'), { state: { round: 1 } });
  });
}
