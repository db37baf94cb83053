// The image for NVIDIA's GPUs, built by buildah. It contains everything for CUDA except the driver, which the node
// provides.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { ensureCudaImage } from '../support/image-build.ts';
import { filesOf } from '../support/image-contents.ts';
import { startIn, unpackImage } from '../support/image-root.ts';

const USER = 65532;
const MAX_BYTES = 1.4e9;
const PROVIDER = 'app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so';
/** Libraries of the driver. */
const DRIVER = 'libcuda.so.1';

// Includes a first build, which downloads 750 MB.
t.setTimeout(20 * 60_000);

const built = await ensureCudaImage();
if ('skip' in built) {
  await t.test('the image for CUDA', { skip: `SKIPPED: ${built.skip}` }, () => {});
} else {
  const folder = t.testdir({ output: {} });
  const output = join(folder, 'output');
  await chown(output, USER, USER);
  const image = await unpackImage(join(built.folder, 'worker-cuda.tar'), join(folder, 'root'));

  await t.test('the image has labels, and is within its size limit', async (t) => {
    t.match(image.config.Labels['org.opencontainers.image.title'], /CUDA 13/);
    const bytes = (await filesOf(image)).reduce((sum, file) => sum + file.bytes, 0);
    t.comment(`worker-cuda: ${Math.round(bytes / 1e6)} MB unpacked`);
    t.ok(bytes <= MAX_BYTES, `${bytes} bytes`);
  });

  await t.test('the image contains the licence of everything that was downloaded for it', async (t) => {
    const pinned =
      (await readFile(join(import.meta.dirname, '../../docker/cuda-libraries.txt'), 'utf8')).match(/^nvidia-\S+/gm) ??
      [];
    const expected = [
      ...pinned.map((what) => `${what.replaceAll('-', '_').replace('==', '-')}.txt`),
      'onnxruntime-third-party.txt',
      'onnxruntime.txt',
    ];
    t.ok(pinned.length > 0);
    t.strictSame((await readdir(join(image.folder, 'usr/local/cuda/licences'))).sort(), expected.sort());
  });

  await t.test('the image contains all libraries of the provider except the driver', async (t) => {
    const libraries = /LD_LIBRARY_PATH=([^:]+)/.exec(image.config.Env.join('\n'))?.[1] ?? '';
    const env = { ...process.env, LD_LIBRARY_PATH: join(image.folder, libraries) };
    const { stdout } = await promisify(execFile)('ldd', [join(image.folder, PROVIDER)], { env });
    const missing = [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map(([, name]) => name);
    t.strictSame(
      missing.filter((name) => name !== DRIVER),
      [],
    );
    t.match(stdout, new RegExp(`libcublasLt\\.so\\.\\d+ => ${image.folder}`), "it is the image's own");
  });

  await t.test(
    'without a driver, that is what it says is missing',
    { skip: existsSync('/dev/nvidia0') && 'SKIPPED: this machine has a GPU' },
    async (t) => {
      const command = [
        'node',
        'worker/launch.js',
        'run',
        'examples/quickstart.yaml',
        '--out',
        '/output/run',
        '--provider',
        'cuda',
      ];
      const { code, stderr } = await (await startIn(image, command, output)).ended;
      t.equal(code, 2, stderr);
      t.match(stderr, `${DRIVER}: cannot open shared object file`);
      t.match(stderr, /error: CUDA cannot be used: /);
    },
  );
}
