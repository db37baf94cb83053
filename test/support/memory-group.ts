import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';

/** Where groups with a memory limit can be made: the tree of version 1 for memory, or the one tree of version 2. */
export interface MemoryTree {
  readonly version: 1 | 2;
  readonly root: string;
  readonly limit: string;
}

function treeOfHost(): MemoryTree | null {
  const one = '/sys/fs/cgroup/memory';
  if (existsSync(join(one, 'cgroup.procs'))) return { version: 1, root: one, limit: 'memory.limit_in_bytes' };
  const two = '/sys/fs/cgroup';
  const controllers = join(two, 'cgroup.controllers');
  if (!existsSync(controllers) || !/\bmemory\b/.test(readFileSync(controllers, 'utf8'))) return null;
  // Groups below have a memory limit only if this group hands the controller down.
  writeFileSync(join(two, 'cgroup.subtree_control'), '+memory');
  return { version: 2, root: two, limit: 'memory.max' };
}

/**
 * Makes a control group.
 * @param bytes its memory limit; null: none
 * @returns its folder
 */
export function makeGroup({ root, limit }: MemoryTree, name: string, bytes: number | null): string {
  const group = join(root, name);
  mkdirSync(group);
  if (bytes === null) return group;
  writeFileSync(join(group, limit), String(bytes));
  const swap = join(group, 'memory.swap.max');
  if (existsSync(swap)) writeFileSync(swap, '0');
  return group;
}

function usableTree(): MemoryTree | string {
  try {
    const tree = treeOfHost();
    if (tree === null) return 'there is no control group of memory';
    rmdirSync(makeGroup(tree, `fedbiot-test-probe-${process.pid}`, 2 ** 20));
    return tree;
  } catch (error) {
    return String(error);
  }
}

const usable = usableTree();

/** Where this host makes control groups with a memory limit; null: it makes none. */
export const memoryTree = typeof usable === 'string' ? null : usable;

/** Why this host makes no control group with a memory limit, for a test's `skip`; false: it does. */
export const noMemoryGroup =
  typeof usable === 'string' && `NOT CHECKED: this host makes no control group with a memory limit: ${usable}`;

/**
 * Makes a control group with a memory limit, until the end of the test.
 * @returns a shell command that moves the shell into it
 */
export function memoryGroup(t: Pick<Test, 'teardown'>, name: string, bytes: number): string {
  if (typeof usable === 'string') throw new Error(usable);
  const group = makeGroup(usable, `fedbiot-test-${name}-${process.pid}`, bytes);
  t.teardown(() => rmdirSync(group));
  return `echo $$ > ${group}/cgroup.procs`;
}
