import { access, mkdir, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { buildGo, buildId, downloadModules, findGo, type Go } from './build-go.ts';
import { withLock } from './lock.ts';

const SOURCE = join(import.meta.dirname, 'hyperkube');
const TAGS = 'etcd,node,kubectl';

/** One program that is all of these, by the name it is called with. */
export const PROGRAM = 'kube-full';
const NAMES = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy', 'kubectl', 'fake-gpu-plugin'];

/**
 * A folder with etcd, kube-apiserver and kubectl (and, where this project built it, the rest of Kubernetes): KUBEBUILDER_ASSETS,
 * or a cache by content, into which the first caller builds from Go modules (minutes; 3 GB of Go's own cache) while others wait.
 * Throws when the build fails; what the machine lacks is a reason to skip.
 */
export async function ensureKubernetes(): Promise<{ readonly folder: string } | { readonly skip: string }> {
  const given = process.env['KUBEBUILDER_ASSETS'];
  if (given !== undefined && given !== '') {
    if (await exists(join(given, 'kube-apiserver'))) return { folder: given };
    throw new Error(`KUBEBUILDER_ASSETS=${given} has no kube-apiserver`);
  }
  const go = await findGo();
  if ('skip' in go) return go;

  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'fedbiot');
  const folder = join(cache, `kubernetes-${await buildId(SOURCE, go, [TAGS])}`);
  if (await exists(folder)) return { folder };
  await mkdir(cache, { recursive: true });
  return await withLock(
    `${folder}.lock`,
    async () => ((await exists(folder)) ? { folder } : await build(folder, go)),
    () => tell('waiting for another process that builds Kubernetes'),
  );
}

async function build(folder: string, go: Go): Promise<{ readonly folder: string } | { readonly skip: string }> {
  tell(`fetching the modules of Kubernetes ${await version()}`);
  const missing = await downloadModules(SOURCE, go);
  if (missing !== null) return missing;

  tell('building it: 7 minutes of processor time where nothing is cached');
  const aside = await mkdtemp(`${folder}.new-`);
  try {
    await compile(aside, go);
    // Whole or not at all: a folder that is there is a build that ended well.
    await rename(aside, folder);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  tell(`built ${folder}`);
  return { folder };
}

async function compile(aside: string, go: Go): Promise<void> {
  await buildGo(SOURCE, go, join(aside, PROGRAM), ['-tags', TAGS, '-ldflags', await linkFlags()]);
  for (const name of NAMES) await symlink(PROGRAM, join(aside, name));
}

/** The version that go.mod names, told to the programs as upstream's own build does. */
async function linkFlags(): Promise<string> {
  const full = await version();
  const [major, minor] = full.slice(1).split('.');
  const values = {
    gitVersion: full,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: 'clean',
    gitCommit: 'modules',
    buildDate: '1970-01-01T00:00:00Z',
  };
  const packages = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'];
  return ['-s -w', ...packages.flatMap((path) => Object.entries(values).map(([key, value]) => `-X ${path}.${key}=${value}`))].join(' ');
}

async function version(): Promise<string> {
  const found = /^\s*k8s\.io\/kubernetes (v\S+)$/m.exec(await readFile(join(SOURCE, 'go.mod'), 'utf8'))?.[1];
  if (found === undefined) throw new Error(`${SOURCE}/go.mod names no k8s.io/kubernetes`);
  return found;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** To standard error: standard output is the test protocol's. */
function tell(text: string): void {
  process.stderr.write(`kubernetes: ${text}\n`);
}
