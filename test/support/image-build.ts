import { createHash } from 'node:crypto';
import { copyFile, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachedFolder, tell } from '../cluster/cached-folder.ts';
import type { Built } from '../cluster/cached-folder.ts';
import { missingPrograms } from '../cluster/lab/requirements.ts';
import { run } from '../cluster/run.ts';
import { NODE_BASE, PYTHON_BASE, ensureNodeBase, ensurePythonBase } from './image-base.ts';

const ROOT = join(import.meta.dirname, '../..');
const CACHE = join(ROOT, '.cache');

/** The Dockerfile's targets that the lab runs. */
export const TARGETS = ['operator', 'worker'] as const;
export type Target = (typeof TARGETS)[number];
type AnyTarget = Target | 'worker-cuda';

/** The name of an image, which is imported and never pulled. */
export const referenceOf = (target: AnyTarget): string => `docker.io/fedbiot/${target}:test`;

/** The revision in the images' labels. */
export const REVISION = 'test';

/** Age at which older builds are removed, as no process reads them any more. */
const KEPT_MS = 3_600_000;

/** What this machine lacks to build images; null: nothing. */
function missingForImages(): string | null {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (process.getuid?.() !== 0) return 'it needs root';
  return missingPrograms({ buildah: 'buildah', debootstrap: 'debootstrap', tar: 'tar', unshare: 'util-linux' });
}

/**
 * A folder with an archive of each of the lab's targets, operator.tar and worker.tar. buildah builds them from the
 * Dockerfile and this checkout, on a stand-in for the base image. They are rebuilt when one of the files has changed;
 * the first caller builds while others wait.
 */
export async function ensureImages(): Promise<Built> {
  const listed = (await readFile(join(ROOT, '.dockerignore'), 'utf8'))
    .split('\n')
    .flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []));
  return await ensureBuilt({
    name: 'images',
    what: 'the images',
    targets: TARGETS,
    bases: [ensureNodeBase],
    inputs: ['Dockerfile', '.dockerignore', ...listed],
  });
}

/**
 * A folder with worker-cuda.tar. It is rebuilt only when the parts that distinguish it from the worker's image change,
 * so its code may be older.
 */
export async function ensureCudaImage(): Promise<Built> {
  if (process.arch !== 'x64') return { skip: "onnxruntime's CUDA provider is for x86-64" };
  const inputs = ['Dockerfile', 'package-lock.json', 'docker/cuda-libraries.txt'];
  const what = 'the image for CUDA, of three quarters of a gigabyte';
  return await ensureBuilt({
    name: 'cuda-image',
    what,
    targets: ['worker-cuda'],
    bases: [ensureNodeBase, ensurePythonBase],
    inputs,
  });
}

interface Build {
  /** Prefix of its folders in the cache. */
  readonly name: string;
  readonly what: string;
  readonly targets: readonly AnyTarget[];
  readonly bases: readonly (() => Promise<Built>)[];
  /** Files and folders of the checkout from which it is built. */
  readonly inputs: readonly string[];
}

async function ensureBuilt({ name, what, targets, bases, inputs }: Build): Promise<Built> {
  const missing = missingForImages();
  if (missing !== null) return { skip: missing };
  const found: string[] = [];
  for (const ensure of bases) {
    const base = await ensure();
    if ('skip' in base) return base;
    found.push(base.folder);
  }
  const current = `${name}-${await inputsHash(found, inputs)}`;
  const built = await cachedFolder(join(CACHE, current), what, async (into) => {
    tell(`${what}: building; two minutes`);
    await buildInto(into, targets, found);
    return null;
  });
  await removeOlder(name, current);
  return built;
}

async function buildInto(into: string, targets: readonly AnyTarget[], bases: readonly string[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'fedbiot-images-'));
  // Runs in a separate mount namespace, so that the mounts of a failed build disappear with it.
  const program = [
    '--mount',
    'buildah',
    `--root=${join(folder, 'storage')}`,
    `--runroot=${join(folder, 'run')}`,
    '--storage-driver=overlay',
  ];
  const buildah = async (...args: readonly string[]) => await run('unshare', [...program, ...args]);
  try {
    const policy = join(folder, 'policy.json');
    await writeFile(policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
    const secrets = await registrySecrets(folder);
    for (const base of bases)
      await buildah('pull', '--quiet', `--signature-policy=${policy}`, `docker-archive:${join(base, 'base.tar')}`);
    for (const target of targets) {
      const reference = referenceOf(target);
      const args = [`NODE_IMAGE=${NODE_BASE}`, `PYTHON_IMAGE=${PYTHON_BASE}`, `REVISION=${REVISION}`].map(
        (arg) => `--build-arg=${arg}`,
      );
      const how = ['--isolation=chroot', '--pull-never', '--layers', `--signature-policy=${policy}`];
      await buildah('build', ...how, ...args, ...secrets, `--target=${target}`, `--tag=${reference}`, ROOT);
      await buildah(
        'push',
        '--quiet',
        `--signature-policy=${policy}`,
        reference,
        `docker-archive:${join(into, `${target}.tar`)}:${reference}`,
      );
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Access of npm and pip to their registries, for the build only and not in a layer: registry, CA certificate and
 * credentials.
 */
async function registrySecrets(folder: string): Promise<readonly string[]> {
  const lines = (await run('npm', ['config', 'get', 'registry', 'cafile', 'userconfig'], { cwd: ROOT }))
    .trim()
    .split('\n');
  const config = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  const own = await readFile(config['userconfig'] ?? '', 'utf8').catch(() => '');
  const authority = [config['cafile'], process.env['NODE_EXTRA_CA_CERTS']].find((path) => path?.startsWith('/'));
  const npmrc = join(folder, 'npmrc');
  const pip = join(folder, 'pip');
  const secrets = [`--secret=id=npmrc,src=${npmrc}`, `--secret=id=pip,src=${pip}`];
  if (authority !== undefined) {
    await copyFile(authority, join(folder, 'ca'));
    secrets.push(`--secret=id=ca,src=${join(folder, 'ca')}`);
  }
  await writeFile(
    npmrc,
    [own, `registry=${config['registry']}`, ...(authority === undefined ? [] : ['cafile=/run/secrets/ca']), ''].join(
      '\n',
    ),
  );
  const index = process.env['PIP_INDEX_URL'];
  await writeFile(
    pip,
    [
      '[global]',
      ...(index === undefined ? [] : [`index-url=${index}`]),
      ...(authority === undefined ? [] : ['cert=/run/secrets/ca']),
      '',
    ].join('\n'),
  );
  return secrets;
}

async function inputsHash(bases: readonly string[], paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
    .update(bases.join())
    .update(await readFile(import.meta.filename));
  for (const path of paths) {
    const inside = (await stat(join(ROOT, path))).isDirectory()
      ? await readdir(join(ROOT, path), { recursive: true })
      : [''];
    for (const name of inside.sort()) {
      const file = join(path, name);
      if ((await stat(join(ROOT, file))).isFile()) hash.update(`${file}\0`).update(await readFile(join(ROOT, file)));
    }
  }
  return hash.digest('hex').slice(0, 12);
}

async function removeOlder(prefix: string, current: string): Promise<void> {
  for (const name of await readdir(CACHE)) {
    const path = join(CACHE, name);
    if (!name.startsWith(`${prefix}-`) || name.startsWith(current)) continue;
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > KEPT_MS) await rm(path, { recursive: true, force: true });
  }
}
