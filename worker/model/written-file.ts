import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { UserError } from '../../crds/facts/user-error.ts';
import { makeFolder } from '../files/durable-files.ts';
import { fileState } from '../files/file-state.ts';
import { SystemFailure } from '../files/system-failure.ts';
import { requireUnchanged } from '../safetensors/content.ts';

/** A *.safetensors file in a cache, which is written once and reused. */
export interface WrittenFile<Content> {
  /** Its path. The name, or that of its folder, tells files of different content apart. */
  readonly file: string;
  /** Writes the file, whole or not at all. */
  readonly write: (file: string) => Promise<unknown>;
  readonly read: (file: string) => Content;
}

/**
 * The content of a file, which is written if it is missing, and watched from then on.
 * @throws UserError if it cannot be written, or is damaged: as this program wrote it whole, it can be removed
 */
export async function writtenOnce<Content>({
  file,
  write,
  read,
}: WrittenFile<Content>): Promise<{ readonly content: Content; readonly checkUnchanged: () => void }> {
  if (!existsSync(file)) {
    makeFolder(dirname(file));
    await write(file);
  }
  return watchedFile(file, read);
}

/**
 * The content of a file that this program has written, which is watched from now on.
 * @throws UserError if it is damaged
 */
export function watchedFile<Content>(
  file: string,
  read: (file: string) => Content,
): { readonly content: Content; readonly checkUnchanged: () => void } {
  const states = new Map([[file, fileState(file)]]);
  const checkUnchanged = () => requireUnchanged(states);
  try {
    return { content: read(file), checkUnchanged };
  } catch (error) {
    if (!(error instanceof UserError) || error instanceof SystemFailure) throw error;
    throw new UserError(error.message, { hint: 'Remove the file: it is created again.', cause: error });
  }
}
