import { existsSync, mkdirSync, statSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemFailure } from './system-failure.ts';

/**
 * Makes a folder, and those around it that are missing. Node's own way to do so never ends where the file system says
 * of every new name that there is no such folder, as in /proc.
 */
export function makeFolder(path: string): void {
  const parent = dirname(path);
  if (!existsSync(parent)) makeFolder(parent);
  try {
    mkdirSync(path);
  } catch (error) {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}

/** Writes one new file and makes sure that it is on the disk. */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Begins the names of folders that are still being written. A run that was killed can leave one behind. */
const UNFINISHED = '.unfinished-';

/**
 * Makes a folder that is either there with all its files, on the disk, or not there at all: the files are written to
 * another folder, which is renamed last. `path` must not exist.
 * @param write stands for `writeDurably`
 * @throws SystemFailure when the disk is full, or the folder cannot be written
 */
export async function createFolder(
  path: string,
  files: ReadonlyMap<string, Uint8Array>,
  write: (path: string, bytes: Uint8Array) => Promise<void> = writeDurably,
): Promise<void> {
  const parent = dirname(path);
  const unfinished = join(parent, `${UNFINISHED}${path.slice(parent.length + 1)}`);
  try {
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished, { recursive: true });
    for (const [name, bytes] of files) await write(join(unfinished, name), bytes);
    await syncFolder(unfinished);
    await rename(unfinished, path);
    await syncFolder(parent);
  } catch (error) {
    // What was written so far would keep a full disk full. If even this fails, the error to tell is still the first.
    await rm(unfinished, { recursive: true, force: true }).catch(() => {});
    throw systemFailure(error, `cannot write ${path}`);
  }
}

/** Removes what a killed run left unfinished in a folder. */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith(UNFINISHED)) await rm(join(folder, name), { recursive: true, force: true });
  }
}
