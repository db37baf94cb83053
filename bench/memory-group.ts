import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeGroup, memoryTree } from '../test/support/memory-group.ts';
import type { MemoryTree } from '../test/support/memory-group.ts';
import { anonymousBytes, ofTree } from '../test/support/peak-memory.ts';
import { succeeded } from './fedbiot.ts';
import { watchTree } from './tree-memory.ts';

const SAMPLE_MS = 20;

/** The peaks of a program and all of its children, in bytes. */
export interface GroupMemory {
  /** Memory that no file backs. */
  readonly anonymous: number;
  /** Pages of files, which the kernel may drop. Null if only /proc was read. */
  readonly cache: number | null;
  /** Memory that no file backs and pages that are mapped, each counted once. */
  readonly resident: number;
}

export interface GroupResult {
  readonly stdout: string;
  readonly seconds: number;
  readonly memory: GroupMemory;
}

/** What measures the memory: Linux control groups of version 1 or 2, or /proc, which cannot limit it. */
export type MemorySource = 'cgroup v1' | 'cgroup v2' | '/proc';

/** Names in a group's memory.stat, by the version of control groups. */
const NAMES = {
  1: { anonymous: 'total_rss', cache: 'total_cache', mapped: 'total_mapped_file' },
  2: { anonymous: 'anon', cache: 'file', mapped: 'file_mapped' },
} as const;

export const memorySource: MemorySource = memoryTree ? `cgroup v${memoryTree.version}` : '/proc';

let groups = 0;

/**
 * Runs a program in a control group of its own, which needs root, and samples the group's memory. Without control
 * groups, samples its processes in /proc.
 * @param limit bytes that the group may take, pages of files included; null: no limit. /proc cannot limit anything
 * @throws Error with the end of its stderr, if the program fails
 */
export async function runInGroup(program: string, args: readonly string[], limit: number | null): Promise<GroupResult> {
  const started = performance.now();
  const peak = { anonymous: 0, cache: 0, resident: 0 };
  const folder = memoryTree && makeGroup(memoryTree, `fedbiot-${process.pid}-${groups++}`, limit);
  // The shell enters the group before it becomes the program, so that no page is charged elsewhere.
  const child = folder
    ? spawn('sh', ['-c', 'echo $$ > "$0" && exec "$@"', join(folder, 'cgroup.procs'), program, ...args])
    : spawn(program, args);
  const tree = folder ? null : watchTree(child);
  const sampling = setInterval(() => {
    if (folder && memoryTree) addGroup(peak, NAMES[memoryTree.version], folder);
    else peak.anonymous = Math.max(peak.anonymous, anonymousOfTree(child));
  }, SAMPLE_MS);
  try {
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    await succeeded(child, [program, ...args].join(' '));
    const seconds = (performance.now() - started) / 1000;
    return { stdout, seconds, memory: tree ? { ...peak, cache: null, resident: tree.peak } : peak };
  } finally {
    clearInterval(sampling);
    if (folder) await removeGroup(folder);
  }
}

function addGroup(
  peak: { anonymous: number; cache: number; resident: number },
  names: (typeof NAMES)[MemoryTree['version']],
  folder: string,
): void {
  const stat = readFileSync(join(folder, 'memory.stat'), 'utf8');
  const bytes = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
  const anonymous = bytes(names.anonymous);
  peak.anonymous = Math.max(peak.anonymous, anonymous);
  peak.cache = Math.max(peak.cache, bytes(names.cache));
  peak.resident = Math.max(peak.resident, anonymous + bytes(names.mapped));
}

function anonymousOfTree({ pid }: ChildProcess): number {
  return pid === undefined ? 0 : ofTree(pid, anonymousBytes);
}

/** A group can be removed as soon as the kernel has cleaned up its last process. */
async function removeGroup(folder: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      rmdirSync(folder);
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(50);
    }
  }
}
