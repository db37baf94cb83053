import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { buildImages } from '../support/image.ts';

const exec = promisify(execFile);
const root = process.getuid?.() === 0;

interface Entry {
  readonly Config: string;
  readonly RepoTags: readonly string[];
  readonly Layers: readonly string[];
}

t.test('the images run their programs as an ordinary user, from a root they cannot write', { skip: root ? false : 'needs root, for chroot' }, async (t) => {
  const folder = t.testdir();
  const archive = join(folder, 'images.tar');
  await buildImages({ worker: 'docker.io/fedbiot/worker:test', operator: 'docker.io/fedbiot/operator:test' }, archive);
  t.strictSame(await readdir(folder), ['images.tar'], 'nothing is left beside the archive');

  await exec('tar', ['--extract', '--file', archive, '--directory', folder]);
  const entries: Entry[] = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  /** The image's files, and a way to run its Node among them with nothing of this process's environment: that names modules that the image has not. */
  const unpack = async (name: string) => {
    const entry = entries.find(({ RepoTags }) => RepoTags[0] === `docker.io/fedbiot/${name}:test`);
    if (entry === undefined) throw new Error(`no image ${name}`);
    t.match(JSON.parse(await readFile(join(folder, entry.Config), 'utf8')), { config: { User: '65532:65532', WorkingDir: '/app' } }, `${name}'s user`);
    const rootfs = join(folder, name);
    await mkdir(rootfs);
    for (const layer of entry.Layers) await exec('tar', ['--extract', '--file', join(folder, layer), '--directory', rootfs]);
    const node = (...args: string[]) => exec('env', ['-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'chroot', '--userspec=65532:65532', rootfs, '/usr/local/bin/node', ...args]);
    return { modules: join(rootfs, 'app/node_modules'), node };
  };

  const worker = await unpack('worker');
  const bin = join(worker.modules, 'onnxruntime-node/bin');
  const [binding = ''] = await readdir(bin);
  t.strictSame(await readdir(join(bin, binding)), ['linux'], "no other platform's onnxruntime");
  t.notOk(existsSync(join(worker.modules, 'tap')), 'no packages of development');
  const { stdout } = await worker.node('/app/worker/launch.js', 'plan', '/app/examples/quickstart.yaml');
  t.match(stdout, /emulator, once to a client/, 'it plans the example that it carries');
  const loaded = await worker.node('-e', "console.log(typeof require('/app/node_modules/onnxruntime-node').InferenceSession.create)");
  t.equal(loaded.stdout.trim(), 'function', 'onnxruntime finds its libraries');

  const operator = await unpack('operator');
  t.notOk(existsSync(join(operator.modules, 'onnxruntime-node')), 'the operator brings nothing that computes');
  const help = await operator.node('/app/operator/main.ts', '--help');
  t.match(help.stdout, /--worker-image/, 'and starts without it');
});
