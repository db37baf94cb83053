import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../support/until.ts';

const ROOT = '/sys/fs/cgroup';

const isVersion2 = (path: string) => existsSync(join(path, 'cgroup.controllers'));

/** One with cgroup v2, one a controller with v1; and there perhaps one of v2, which holds nothing. */
function hierarchies(): string[] {
  if (isVersion2(ROOT)) return [ROOT];
  return readdirSync(ROOT)
    .map((name) => join(ROOT, name))
    .filter((path) => statSync(path).isDirectory());
}

/** Makes the group `name` under which the kubelet makes its own. */
export function makeCgroups(name: string): void {
  if (isVersion2(ROOT)) writeFileSync(join(ROOT, 'cgroup.subtree_control'), '+cpuset +cpu +memory +pids');
  for (const hierarchy of hierarchies()) {
    const group = join(hierarchy, name);
    mkdirSync(group, { recursive: true });
    // With v1 a new cpuset is empty, and nothing can run in it.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (!isVersion2(hierarchy) && existsSync(join(group, file)))
        writeFileSync(join(group, file), readFileSync(join(hierarchy, file)));
    }
  }
}

/** Removes the group and those in it, whose processes are gone or about to be. */
export async function removeCgroups(name: string): Promise<void> {
  for (const hierarchy of hierarchies()) await removeGroup(join(hierarchy, name));
}

async function removeGroup(path: string): Promise<void> {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) await removeGroup(join(path, entry.name));
  await until(`${path} is empty`, 30, () => (isRemoved(path) ? true : null));
}

/** The kernel lets go of a group a moment after the last process in it has ended. */
function isRemoved(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EBUSY') return false;
    throw error;
  }
}
