import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CACHE, cachedFolder, tell } from '../cluster/cached-folder.ts';
import type { Built } from '../cluster/cached-folder.ts';
import { run } from '../cluster/run.ts';
import { writeArchive } from './image-archive.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Name of a stand-in in its archive, base.tar. */
export const NODE_BASE = 'localhost/fedbiot-node:test';
export const PYTHON_BASE = 'localhost/fedbiot-python:test';

const SUITE = 'bookworm';
const NPM = '11.19.1';

/**
 * A stand-in for the Dockerfile's base image, for machines without access to an image registry: Debian, made by
 * debootstrap, with npm and the Node that tests run on from npm's registry, at the same paths as in the real image.
 */
export async function ensureNodeBase(): Promise<Built> {
  const { version }: { version: string } = JSON.parse(
    await readFile(join(ROOT, 'node_modules/node/package.json'), 'utf8'),
  );
  const complete = async (root: string, aside: string) => {
    const local = join(root, 'usr/local');
    const distribution = `node-linux-${process.arch}`;
    await run('npm', [
      'install',
      '--no-save',
      '--no-audit',
      '--no-fund',
      `--prefix=${aside}`,
      `${distribution}@${version}`,
    ]);
    for (const path of ['bin/node', 'LICENSE'])
      await cp(join(aside, 'node_modules', distribution, path), join(local, path));
    await run('npm', ['install', '--global', '--no-audit', '--no-fund', `--prefix=${local}`, `npm@${NPM}`]);
  };
  return await ensureBase({
    name: `node-base-${version}`,
    what: 'the base image',
    reference: NODE_BASE,
    packages: [],
    complete,
  });
}

/** A stand-in for the image that unpacks the CUDA libraries: Debian with its Python and pip. */
export async function ensurePythonBase(): Promise<Built> {
  return await ensureBase({
    name: 'python-base',
    what: 'the image of Python',
    reference: PYTHON_BASE,
    packages: ['python3-pip', 'ca-certificates'],
  });
}

interface Base {
  /** Prefix of its folder in the cache, including the versions of everything that is not from Debian. */
  readonly name: string;
  readonly what: string;
  readonly reference: string;
  /** Debian packages besides the minimal set. */
  readonly packages: readonly string[];
  /** Adds what is not from Debian to the root. `aside` is a temporary folder. */
  readonly complete?: (root: string, aside: string) => Promise<void>;
}

async function ensureBase({ name, what, reference, packages, complete }: Base): Promise<Built> {
  const id = createHash('sha256')
    .update(process.arch)
    .update(await readFile(import.meta.filename))
    .digest('hex')
    .slice(0, 12);
  return await cachedFolder(join(CACHE, `${name}-${id}`), what, async (into) => {
    tell(`${what}: fetching Debian; a minute`);
    // The cache may be on a file system that does not allow device files, or on which dpkg is very slow.
    const aside = await mkdtemp(join(tmpdir(), 'fedbiot-base-'));
    try {
      const root = join(aside, 'root');
      const include = packages.length > 0 ? [`--include=${packages.join()}`] : [];
      const failed = await run('debootstrap', ['--variant=minbase', ...include, SUITE, root]).then(() => null, String);
      if (failed !== null) return { skip: `Debian cannot be fetched: ${failed.trim().split('\n').at(-1)}` };
      await rm(join(root, 'var/cache/apt/archives'), { recursive: true });
      await complete?.(root, aside);
      await writeArchive([{ reference, layers: [root], command: [] }], join(into, 'base.tar'));
      return null;
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
  });
}
