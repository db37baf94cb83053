import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The memory limit of this process from Linux control groups; null on other systems, or without a limit. */
export interface ControlGroup {
  /** Memory limit in bytes for all processes of the group: the smallest limit of the group and its ancestors. */
  memoryLimit(): number | null;
  /**
   * Watches, from now on, for processes that the kernel kills for lack of memory: in the group, or on the machine if
   * the group has no counter.
   * @returns tells whose memory ran out; null: no process was killed, or nothing counts them
   */
  watchMemoryKills(): () => Exhausted | null;
}

/**
 * Whose memory ran out: that of the group, at its own limit, or that of the machine, or of groups around it, which
 * other processes use as well.
 */
export type Exhausted = 'limit' | 'machine';

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
    watchMemoryKills: () => {
      // The kernel's killer for the whole machine adds to the group's kills as well, but not to its shortages.
      const kills = () =>
        groups
          .map(({ folders: [folder = ''], events }) => event(join(folder, events), 'oom_kill'))
          .find((counted) => counted !== null) ?? event(join(root, 'proc/vmstat'), 'oom_kill');
      const shortages = () =>
        groups.reduce((sum, { folders: [folder = ''], shortagesIn }) => sum + shortagesIn(folder), 0);
      const before = { kills: kills() ?? Infinity, shortages: shortages() };
      return () => {
        if ((kills() ?? 0) <= before.kills) return null;
        return shortages() > before.shortages ? 'limit' : 'machine';
      };
    },
  };
}

interface MemoryGroup {
  /** The group of the process, then its ancestors. */
  readonly folders: readonly string[];
  readonly limit: string;
  /** The file that counts kills. */
  readonly events: string;
  /** How often the group of a folder ran out of memory at its own limit. */
  readonly shortagesIn: (folder: string) => number;
}

/**
 * Version 1 counts how often a limit was reached, even if pages of files could then be dropped. So a kill as the
 * machine ran out may be taken for one at the limit. The second file is of the limit for memory and swap.
 */
const V1_SHORTAGES = ['memory.failcnt', 'memory.memsw.failcnt'];

/** Version 2 has one tree, version 1 has one for memory. Both may exist; the controller is in one of them. */
function memoryGroups(root: string): MemoryGroup[] {
  const lines = text(join(root, 'proc/self/cgroup')).split('\n');
  return lines.flatMap((line): MemoryGroup[] => {
    const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === '' && line.startsWith('0:'))
      return [
        {
          folders: around(join(root, 'sys/fs/cgroup'), path),
          limit: 'memory.max',
          events: 'memory.events',
          shortagesIn: (folder) => event(join(folder, 'memory.events'), 'oom') ?? 0,
        },
      ];
    if (!controllers.split(',').includes('memory')) return [];
    return [
      {
        folders: around(join(root, 'sys/fs/cgroup/memory'), path),
        limit: 'memory.limit_in_bytes',
        events: 'memory.oom_control',
        shortagesIn: (folder) => V1_SHORTAGES.reduce((sum, name) => sum + (count(text(join(folder, name))) ?? 0), 0),
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

/** A line of a file of counters, such as `oom_kill 2`. */
function event(path: string, name: string): number | null {
  const line = text(path)
    .split('\n')
    .find((each) => each.startsWith(`${name} `));
  return line === undefined ? null : count(line.slice(name.length + 1));
}

function count(written: string): number | null {
  return /^\d+\s*$/.test(written) ? Number(written) : null;
}
