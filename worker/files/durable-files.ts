import { existsSync, mkdirSync, statSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemFailure } from './system-failure.ts';

/**
 * Creates a folder and its missing parents. Node's recursive mkdir never returns on file systems such as /proc that
 * report a missing folder for every new name.
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

/** Writes a new file and syncs it to the disk. */
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

/** Prefix of folders that are being written. A killed run may leave one. */
const UNFINISHED = '.unfinished-';

/**
 * Creates a folder atomically: it contains all its files, synced to the disk, or does not exist. The files are written
 * to a temporary folder, which is then renamed. `path` must not exist.
 * @param write replaces `writeDurably`
 * @throws SystemFailure if the disk is full, or the folder cannot be written
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
    // The incomplete folder would keep a full disk full. If it cannot be removed either, the first error is reported.
    await rm(unfinished, { recursive: true, force: true }).catch(() => {});
    throw systemFailure(error, `cannot write ${path}`);
  }
}

/** Removes the incomplete folders that killed runs have left in a folder. */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith(UNFINISHED)) await rm(join(folder, name), { recursive: true, force: true });
  }
}
