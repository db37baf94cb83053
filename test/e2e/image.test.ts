import { execFile } from 'node:child_process';
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { buildWorkerImage } from '../support/image.ts';

const exec = promisify(execFile);
const root = process.getuid?.() === 0;

t.test('the image runs the program as an ordinary user, from a root it cannot write', { skip: root ? false : 'needs root, for chroot' }, async (t) => {
  const folder = t.testdir();
  const archive = join(folder, 'worker.tar');
  await buildWorkerImage('docker.io/fedbiot/worker:test', archive);
  t.strictSame((await readdir(folder)).sort(), ['worker.tar'], 'nothing is left beside the archive');

  const rootfs = join(folder, 'rootfs');
  await mkdir(rootfs);
  await exec('tar', ['--extract', '--file', archive, '--directory', folder]);
  await exec('tar', ['--extract', '--file', join(folder, 'layer.tar'), '--directory', rootfs]);
  t.match(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')), { config: { User: '65532:65532', WorkingDir: '/app' } });

  const bin = join(rootfs, 'app/node_modules/onnxruntime-node/bin');
  const [binding = ''] = await readdir(bin);
  t.strictSame(await readdir(join(bin, binding)), ['linux'], "no other platform's onnxruntime");
  t.notOk((await readdir(join(rootfs, 'app/node_modules'))).includes('tap'), 'no packages of development');

  // Nothing of this process's environment: the test runner's names modules that the image has not.
  const inside = (...args: string[]) => exec('env', ['-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'chroot', '--userspec=65532:65532', rootfs, '/usr/local/bin/node', ...args]);
  const { stdout } = await inside('/app/worker/launch.js', 'plan', '/app/examples/quickstart.yaml');
  t.match(stdout, /emulator, once to a client/, 'it plans the example that it carries');
  const loaded = await inside('-e', "console.log(typeof require('/app/node_modules/onnxruntime-node').InferenceSession.create)");
  t.equal(loaded.stdout.trim(), 'function', 'onnxruntime finds its libraries');
});
