import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError } from '../errors.ts';

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
 * Makes a folder that is either there with all its files, on the disk, or not there at all: the files are written to another
 * folder, which is renamed last. `path` must not exist.
 * @param write stands for `writeDurably`
 * @throws UserError when the disk is full, or the folder cannot be written
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
    throw diskError(path, error);
  }
}

/** Removes what a killed run left unfinished in a folder. */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith(UNFINISHED)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** A failure to write, in the user's words. */
export function diskError(path: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new UserError(`the disk is full: ${path} was not written; what was saved before it is intact`, {
        hint: 'Free some space and run again with --resume.',
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new UserError(`${path} cannot be written (${code})`, {
        hint: 'Choose a folder that this user may write to with --out.',
        cause: error,
      });
    default:
      return error;
  }
}
