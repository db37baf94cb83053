import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The memory limit of this process from Linux control groups; null on other systems, or without a limit. */
export interface ControlGroup {
  /** Memory limit in bytes for all processes of the group: the smallest limit of the group and its ancestors. */
  memoryLimit(): number | null;
  /**
   * Number of processes that the kernel has killed for lack of memory: in the group, or on the machine if the group has
   * no counter.
   */
  memoryKills(): number | null;
}

/** @param root root of the file system from which /proc and /sys are read */
export function controlGroup(root = '/'): ControlGroup {
  const groups = memoryGroups(root);
  return {
    memoryLimit: () => {
      const limits = groups
        .flatMap(({ folders, limit }) => folders.map((folder) => count(text(join(folder, limit)))))
        .filter((bytes) => bytes !== null);
      const least = Math.min(...limits);
      // Version 1 expresses no limit as a huge number.
      return least < 2 ** 60 ? least : null;
    },
    memoryKills: () => {
      const own = groups.map(
        ({ folders: [folder = ''], kills }) => /^oom_kill (\d+)$/m.exec(text(join(folder, kills)))?.[1],
      );
      const counted =
        own.find((kills) => kills !== undefined) ?? /^oom_kill (\d+)$/m.exec(text(join(root, 'proc/vmstat')))?.[1];
      return counted === undefined ? null : Number(counted);
    },
  };
}

interface MemoryGroup {
  /** The group of the process, then its ancestors. */
  readonly folders: readonly string[];
  readonly limit: string;
  readonly kills: string;
}

/** Version 2 has one tree, version 1 has one for memory. Both may exist; the controller is in one of them. */
function memoryGroups(root: string): MemoryGroup[] {
  const lines = text(join(root, 'proc/self/cgroup')).split('\n');
  return lines.flatMap((line): MemoryGroup[] => {
    const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === '' && line.startsWith('0:'))
      return [{ folders: around(join(root, 'sys/fs/cgroup'), path), limit: 'memory.max', kills: 'memory.events' }];
    if (!controllers.split(',').includes('memory')) return [];
    return [
      {
        folders: around(join(root, 'sys/fs/cgroup/memory'), path),
        limit: 'memory.limit_in_bytes',
        kills: 'memory.oom_control',
      },
    ];
  });
}

/** In a container, the path may be the host's, while only the container's group is visible, as the root. */
function around(mount: string, path: string): string[] {
  const folders = [];
  let folder = join(mount, path);
  if (!existsSync(folder)) folder = mount;
  for (; folder.length > mount.length; folder = dirname(folder)) folders.push(folder);
  return [...folders, mount];
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function count(written: string): number | null {
  return /^\d+\s*$/.test(written) ? Number(written) : null;
}
