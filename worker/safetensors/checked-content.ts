import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../../crds/facts/user-error.ts';
import type { FileState } from '../files/file-state.ts';
import { readContent } from './content.ts';
import type { FileContent } from './content.ts';
import { forget, recall, remember } from './content-memory.ts';
import { readInThread } from './read-in-thread.ts';

/** How the content of files is found out. */
export interface Verification {
  /** Folder that remembers it between processes; null: each process reads. */
  readonly memory: string | null;
  /** Read every file, and compare with what is remembered. */
  readonly again: boolean;
  readonly signal?: AbortSignal;
}

/** Reads each file once in this process. */
export const READ_ONCE: Verification = { memory: null, again: false };

/** @param cache folder for data that can be made again; null: nothing is remembered */
export function verificationIn(
  cache: string | null,
  { again = false, signal }: Partial<Pick<Verification, 'again' | 'signal'>> = {},
): Verification {
  return { memory: cache === null ? null : join(cache, 'verified'), again, ...(signal && { signal }) };
}

/** Smaller files are read at once: a thread and an entry in the memory would take longer. */
export const LARGE_FILE_BYTES = 32 << 20;

/**
 * Age at which a change of a file gets another time than the one before, for any clock of a file system. A younger file
 * could change without a sign of it.
 */
const SETTLED_MS = 100;

const known = new Map<string, Promise<FileContent>>();

/**
 * The content of a file that is in the given state. A process reads a file once; if it is remembered, not at all.
 * @param path absolute
 * @throws UserError as `readContent`; with `again`, also if the file is not as it is remembered
 */
export function checkedContent(path: string, state: FileState, verification = READ_ONCE): Promise<FileContent> {
  const key = JSON.stringify(state);
  const content = known.get(key) ?? find(path, state, verification);
  known.set(key, content);
  content.catch(() => known.delete(key));
  return content;
}

async function find(path: string, state: FileState, { memory, again, signal }: Verification): Promise<FileContent> {
  if (Number(state.size) < LARGE_FILE_BYTES) return readContent(path, state, signal);
  const remembered = memory === null ? undefined : recall(memory, state);
  if (remembered !== undefined && !again) return remembered;
  if (!isSettled(state)) await delay(SETTLED_MS);
  const settled = isSettled(state);
  const content = await readInThread({ path, state }, signal);
  if (memory === null) return content;
  if (remembered !== undefined && remembered.sha256 !== content.sha256) {
    await forget(memory, state);
    throw new UserError(`${path} is not what it was: its content changed, but its size and its times did not`, {
      hint: 'The disk or its memory may be damaged: compare the file with its source. The next run takes it as it is now.',
    });
  }
  if (settled) await remember(memory, state, content);
  return content;
}

function isSettled({ changed }: FileState): boolean {
  return Date.now() - Number(changed) / 1e6 >= SETTLED_MS;
}
