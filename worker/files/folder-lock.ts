import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Type from 'typebox';
import Value from 'typebox/value';
import { UserError } from '../../crds/facts/user-error.ts';
import { isRunning, thisProcess } from './process-identity.ts';
import type { ProcessIdentity } from './process-identity.ts';

export const LOCK_FILE = 'run.lock';

const Owner = Type.Object({
  host: Type.String(),
  pid: Type.Integer({ minimum: 1 }),
  started: Type.Union([Type.String(), Type.Null()]),
});

/** Another process has taken over the folder: this one must no longer write to it. */
export class FolderLost extends UserError {
  override readonly name = 'FolderLost';
}

/** Another process has the lock of a folder, or may have it. */
class FolderInUse extends UserError {
  readonly owner: ProcessIdentity;

  constructor(folder: string, path: string, owner: ProcessIdentity) {
    const { host, pid } = owner;
    super(`${folder} is in use by another run: process ${pid} on ${host}`, {
      hint:
        host === thisProcess().host
          ? 'Wait for it, stop it, or choose another --out folder.'
          : `If that run is no longer alive, remove ${path}.`,
    });
    this.owner = owner;
  }
}

export interface FolderLock {
  /** Whether the lock was taken from a process that may be alive. */
  readonly tookOver: boolean;
  /** @throws FolderLost if another process has taken over the folder */
  check(): void;
  /** Releases the lock. */
  release(): void;
}

/**
 * Locks a folder for this process. The lock of a dead process is taken over.
 * @param options.takeOver take the lock from any process: the caller knows that the owner must stop
 * @throws UserError if another process has the lock
 */
export function lockFolder(folder: string, { takeOver = false }: { takeOver?: boolean } = {}): FolderLock {
  const path = join(folder, LOCK_FILE);
  const own = `${path}.${process.pid}`;
  const text = `${JSON.stringify(thisProcess())}\n`;
  // A link is created atomically with its content, and only if the name is free, so that one of two processes gets the
  // lock.
  writeFileSync(own, text);
  let tookOver = false;
  try {
    while (!link(own, path)) {
      const held = read(path);
      if (held === null) continue;
      if (isRunning(held.owner) !== false) {
        if (!takeOver) throw new FolderInUse(folder, path, held.owner);
        tookOver = true;
      }
      removeStale(path, held.text);
    }
  } finally {
    rmSync(own, { force: true });
  }
  return {
    tookOver,
    check: () => {
      const held = read(path);
      if (held !== null && held.text !== text)
        throw new FolderLost(`process ${held.owner.pid} on ${held.owner.host} has taken over ${folder}`);
    },
    release: () => {
      if (read(path)?.text === text) rmSync(path, { force: true });
    },
  };
}

/** Time between two attempts to lock a folder. */
const RETRY_MS = 200;

/**
 * The same, as soon as no other process of this machine has the lock.
 * @param onWait called once, with the process that has it
 * @throws UserError if a process on another machine has it, of which nobody knows here whether it is alive
 */
export async function lockWhenFree(folder: string, onWait: (pid: number) => void): Promise<FolderLock> {
  for (let attempt = 0; ; attempt++) {
    try {
      return lockFolder(folder);
    } catch (error) {
      if (!(error instanceof FolderInUse) || error.owner.host !== thisProcess().host) throw error;
      if (attempt === 0) onWait(error.owner.pid);
    }
    await delay(RETRY_MS);
  }
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Null if the lock was just released. A running process never writes an unreadable lock. */
function read(path: string): { text: string; owner: ProcessIdentity } | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  try {
    const owner: unknown = JSON.parse(text);
    if (Value.Check(Owner, owner)) return { text, owner };
  } catch {
    // Not JSON: the disk lost the content.
  }
  throw new UserError(`${path} is not a valid lock of a run`, { hint: 'Remove it if no run uses this folder.' });
}

/**
 * Removes the lock of an owner that has lost it. If another process has meanwhile created a new lock, that lock is
 * restored.
 */
function removeStale(path: string, text: string): void {
  const aside = `${path}.stale-${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
    throw error;
  }
  if (read(aside)?.text !== text) link(aside, path);
  rmSync(aside, { force: true });
}
