import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../support/until.ts';

const ROOT = '/sys/fs/cgroup';

const isVersion2 = (path: string) => existsSync(join(path, 'cgroup.controllers'));

/** One hierarchy with cgroup v2, and one per controller with v1, which may also have an empty one of v2. */
function hierarchies(): string[] {
  if (isVersion2(ROOT)) return [ROOT];
  return readdirSync(ROOT)
    .map((name) => join(ROOT, name))
    .filter((path) => statSync(path).isDirectory());
}

/** Creates the group `name`, in which the kubelet creates its groups. */
export function makeCgroups(name: string): void {
  if (isVersion2(ROOT)) writeFileSync(join(ROOT, 'cgroup.subtree_control'), '+cpuset +cpu +memory +pids');
  for (const hierarchy of hierarchies()) {
    const group = join(hierarchy, name);
    mkdirSync(group, { recursive: true });
    // With v1, a new cpuset is empty, and no process can run in it.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (!isVersion2(hierarchy) && existsSync(join(group, file)))
        writeFileSync(join(group, file), readFileSync(join(hierarchy, file)));
    }
  }
}

/** Removes the group and its subgroups, whose processes have ended or are about to. */
export async function removeCgroups(name: string): Promise<void> {
  for (const hierarchy of hierarchies()) await removeGroup(join(hierarchy, name));
}

async function removeGroup(path: string): Promise<void> {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) await removeGroup(join(path, entry.name));
  await until(`${path} is empty`, 30, () => (isRemoved(path) ? true : null));
}

/** The kernel releases a group a moment after its last process has ended. */
function isRemoved(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EBUSY') return false;
    throw error;
  }
}
