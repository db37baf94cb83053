import { spawnSync } from 'node:child_process';
import { existsSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The namespaces of the lab: its own network and mounts, and processes that all end with the first of them. */
const NAMESPACES = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

/**
 * Arguments of setpriv that run a program in the lab's namespaces, until it ends or the process that started it does.
 */
export const ALONE = ['--pdeathsig', 'KILL', 'unshare', ...NAMESPACES];

/** The folder of Debian's package containernetworking-plugins, and the usual one. */
const CNI_FOLDERS = ['/usr/lib/cni', '/opt/cni/bin'];
const CNI_PLUGINS = ['bridge', 'host-local', 'loopback'];

/** Programs, and the Debian packages that contain them. */
const PROGRAMS: Readonly<Record<string, string>> = {
  setpriv: 'util-linux',
  unshare: 'util-linux',
  ip: 'iproute2',
  iptables: 'iptables',
  containerd: 'containerd',
  ctr: 'containerd',
  'containerd-shim-runc-v2': 'containerd',
  runc: 'runc',
  'redis-server': 'redis-server',
  'redis-cli': 'redis-tools',
  tar: 'tar',
  buildah: 'buildah',
  debootstrap: 'debootstrap',
};

const OVERLAYFS = 0x794c7630;

/** Folder of the CNI plugins; null: no folder has all that the lab needs. */
export const cniFolder = (): string | null =>
  CNI_FOLDERS.find((folder) => CNI_PLUGINS.every((name) => existsSync(join(folder, name)))) ?? null;

/** Searches for a program, also in folders of root's programs, which a user's PATH lacks. */
const pathOf = (name: string): string | undefined =>
  `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`
    .split(':')
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));

/** The path of an installed program. */
export function findProgram(name: string): string {
  const path = pathOf(name);
  if (path === undefined) throw new Error(`there is no ${name}`);
  return path;
}

/** Names the packages of missing `programs`, and `more`; null: nothing is missing. */
export function missingPrograms(
  programs: Readonly<Record<string, string>>,
  more: readonly string[] = [],
): string | null {
  const missing = Object.entries(programs).filter(([name]) => pathOf(name) === undefined);
  const packages = [...new Set([...missing.map(([, name]) => name), ...more])];
  return packages.length === 0 ? null : `it needs what these packages have: ${packages.join(' ')}`;
}

/** What this machine lacks to run a Kubernetes node; null: nothing. */
export function missingForLab(): string | null {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (process.getuid?.() !== 0) return 'it needs root';
  const missing = missingPrograms(PROGRAMS, cniFolder() === null ? ['containernetworking-plugins'] : []);
  if (missing !== null) return missing;
  if (statfsSync(tmpdir()).type === OVERLAYFS)
    return `${tmpdir()} lies on overlayfs, which cannot carry the layers of containers; set TMPDIR`;
  return refusedNamespace() ?? missingCgroups();
}

/** Root in a container often lacks permissions of real root. */
function refusedNamespace(): string | null {
  // Loads the module, if it is a module and may be loaded.
  spawnSync('modprobe', ['br_netfilter']);
  if (!existsSync('/proc/sys/net/bridge/bridge-nf-call-iptables')) return 'the kernel has no br_netfilter';
  const tried = spawnSync('setpriv', [...ALONE, 'ip', 'link', 'add', 'lab0', 'type', 'bridge'], { encoding: 'utf8' });
  return tried.status === 0
    ? null
    : `this process may not make a network of its own: ${(tried.stderr || String(tried.error)).trim()}`;
}

function missingCgroups(): string | null {
  const root = '/sys/fs/cgroup';
  if (!existsSync(join(root, 'memory')) && !existsSync(join(root, 'cgroup.controllers')))
    return `there are no cgroups at ${root}`;
  return null;
}
