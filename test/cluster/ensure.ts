import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { buildGo } from './build-go.ts';
import { exists } from './cached-folder.ts';
import { cachedBuild } from './go-cache.ts';
import type { Built } from './go-cache.ts';

const SOURCE = join(import.meta.dirname, 'hyperkube');
const TAGS = 'etcd,node,kubectl';

/** One program that acts as any of these, by the name with which it is called. */
export const PROGRAM = 'kube-full';
const NAMES = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
  'fake-gpu-plugin',
];

/**
 * A folder with etcd, kube-apiserver and kubectl (and, if this project built it, the rest of Kubernetes):
 * KUBEBUILDER_ASSETS, or a cache by content, into which the first caller builds from Go modules (minutes; 3 GB of Go's
 * cache) while others wait. Throws if the build fails; if the machine lacks something, returns why to skip.
 */
export async function ensureKubernetes(): Promise<Built> {
  const given = process.env['KUBEBUILDER_ASSETS'];
  if (given !== undefined && given !== '') {
    if (await exists(join(given, 'kube-apiserver'))) return { folder: given };
    throw new Error(`KUBEBUILDER_ASSETS=${given} has no kube-apiserver`);
  }
  const built = await cachedBuild({
    name: 'kubernetes',
    source: SOURCE,
    how: [TAGS],
    takes: '7 minutes',
    compile: async (into, go) => {
      await buildGo(SOURCE, go, join(into, PROGRAM), ['-tags', TAGS, '-ldflags', await linkFlags()]);
      for (const name of NAMES) await symlink(PROGRAM, join(into, name));
    },
  });
  return 'skip' in built ? { skip: `${built.skip}; or set KUBEBUILDER_ASSETS` } : built;
}

/** Passes the version in go.mod to the programs, as upstream's build does. */
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
  return [
    '-s -w',
    ...packages.flatMap((path) => Object.entries(values).map(([key, value]) => `-X ${path}.${key}=${value}`)),
  ].join(' ');
}

async function version(): Promise<string> {
  const found = /^\s*k8s\.io\/kubernetes (v\S+)$/m.exec(await readFile(join(SOURCE, 'go.mod'), 'utf8'))?.[1];
  if (found === undefined) throw new Error(`${SOURCE}/go.mod names no k8s.io/kubernetes`);
  return found;
}
