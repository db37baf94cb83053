import { readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Type from 'typebox';
import Value from 'typebox/value';
import { makeFolder } from '../files/durable-files.ts';
import { sameState } from '../files/file-state.ts';
import type { FileState } from '../files/file-state.ts';
import { readJson } from '../files/read.ts';
import type { FileContent } from './content.ts';

const Digits = Type.String({ pattern: '^[0-9]{1,20}$' });

/** A file of the folder: the state of a file, and what was read from it. The state identifies it under any name. */
const Entry = Type.Object({
  version: Type.Literal(1),
  state: Type.Object({ device: Digits, inode: Digits, size: Digits, modified: Digits, changed: Digits }),
  content: Type.Object({
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    nonFinite: Type.Record(Type.String(), Type.Integer({ minimum: 0 })),
  }),
});

/** More is not remembered: a file with so many damaged tensors is not used again. */
const MAX_ENTRY_BYTES = 64 << 10;
const MAX_ENTRIES = 1000;

/**
 * The content that an earlier process read from a file, if the file is in the same state; undefined if the folder has
 * no intact entry.
 */
export function recall(folder: string, state: FileState): FileContent | undefined {
  let entry: unknown;
  try {
    entry = readJson(fileOf(folder, state), { maxBytes: MAX_ENTRY_BYTES });
  } catch {
    return undefined;
  }
  return Value.Check(Entry, entry) && sameState(entry.state, state) ? entry.content : undefined;
}

/** Remembers a file's content for later processes. It only saves time: a folder that cannot be written is ignored. */
export async function remember(folder: string, state: FileState, content: FileContent): Promise<void> {
  const text = `${JSON.stringify({ version: 1, state, content })}\n`;
  if (Buffer.byteLength(text) > MAX_ENTRY_BYTES) return;
  const file = fileOf(folder, state);
  const partial = `${file}.${process.pid}`;
  try {
    makeFolder(folder);
    await writeFile(partial, text);
    await rename(partial, file);
    await removeOldest(folder);
  } catch {
    await rm(partial, { force: true }).catch(() => {});
  }
}

/** Forgets a file's content. A folder that cannot be written is ignored: callers have a worse failure to report. */
export async function forget(folder: string, state: FileState): Promise<void> {
  await rm(fileOf(folder, state), { force: true }).catch(() => {});
}

const fileOf = (folder: string, { device, inode }: FileState) => join(folder, `${device}-${inode}.json`);

async function removeOldest(folder: string): Promise<void> {
  const names = await readdir(folder);
  if (names.length <= MAX_ENTRIES) return;
  const times = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).mtimeMs));
  const byAge = names.map((name, i) => ({ name, time: times[i]! })).sort((a, b) => a.time - b.time);
  for (const { name } of byAge.slice(0, -MAX_ENTRIES)) await rm(join(folder, name), { force: true });
}
