import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

/** Another process has taken the folder: this one must not write to it any more. */
export class FolderLost extends UserError {
  override readonly name = 'FolderLost';
}

export interface FolderLock {
  /** Whether it was taken from a process that may be alive. */
  readonly tookOver: boolean;
  /** @throws FolderLost when another process has taken the folder since */
  check(): void;
  /** Gives the folder back. */
  release(): void;
}

/**
 * Takes a folder for this process. A lock whose owner has died is taken over.
 * @param options.takeOver take it from whoever has it: the caller knows by other means that its turn is over
 * @throws UserError when another process has the folder
 */
export function lockFolder(folder: string, { takeOver = false }: { takeOver?: boolean } = {}): FolderLock {
  const path = join(folder, LOCK_FILE);
  const own = `${path}.${process.pid}`;
  const text = `${JSON.stringify(thisProcess())}\n`;
  // A link is made with its content or not at all, and only where there is none: of two processes one gets the folder.
  writeFileSync(own, text);
  let tookOver = false;
  try {
    while (!link(own, path)) {
      const held = read(path);
      if (held === null) continue;
      if (isRunning(held.owner) !== false) {
        if (!takeOver) throw inUse(folder, path, held.owner);
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

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Null when the lock has just been given back. A lock that says nothing sensible was not made by a live run. */
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
    // Not JSON: the disk lost it.
  }
  throw new UserError(`${path} cannot be read as the lock of a run`, { hint: 'Remove it if no run uses this folder.' });
}

/**
 * Takes the lock of an owner whose turn is over away; if another process was quicker, and it is now that one's lock,
 * puts it back.
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

function inUse(folder: string, path: string, { host, pid }: ProcessIdentity): UserError {
  return new UserError(`${folder} is in use by another run: process ${pid} on ${host}`, {
    hint:
      host === thisProcess().host
        ? 'Wait for it, stop it, or choose another --out folder.'
        : `If that run is no longer alive, remove ${path}.`,
  });
}
