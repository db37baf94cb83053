import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

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
      if (!isVersion2(hierarchy) && existsSync(join(group, file))) writeFileSync(join(group, file), readFileSync(join(hierarchy, file)));
    }
  }
}

/** Removes the group and those in it, once their processes are gone. */
export function removeCgroups(name: string): void {
  for (const hierarchy of hierarchies()) removeGroup(join(hierarchy, name));
}

function removeGroup(path: string): void {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) removeGroup(join(path, entry.name));
  rmdirSync(path);
}
