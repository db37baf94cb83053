import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
import Value from 'typebox/value';
import { UserError } from '../errors.ts';
import { isRunning, thisProcess } from './process-identity.ts';
import type { ProcessIdentity } from './process-identity.ts';

export const LOCK_FILE = 'run.lock';

const Owner = Type.Object({ host: Type.String(), pid: Type.Integer({ minimum: 1 }), started: Type.Union([Type.String(), Type.Null()]) });

/**
 * Takes a folder for this process. A lock whose owner has died is taken over.
 * @returns what gives the folder back
 * @throws UserError when another process has the folder
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, LOCK_FILE);
  const own = `${path}.${process.pid}`;
  const text = `${JSON.stringify(thisProcess())}\n`;
  // A link is made with its content or not at all, and only where there is none: of two processes one gets the folder.
  writeFileSync(own, text);
  try {
    while (!link(own, path)) {
      const held = read(path);
      if (held === null) continue;
      if (isRunning(held.owner) !== false) throw inUse(folder, path, held.owner);
      removeStale(path, held.text);
    }
  } finally {
    rmSync(own, { force: true });
  }
  return () => {
    if (read(path)?.text === text) rmSync(path, { force: true });
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

/** Takes the lock of a dead owner away; if another process was quicker, and it is now that one's lock, puts it back. */
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
