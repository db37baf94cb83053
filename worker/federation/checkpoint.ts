import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../crds/facts/user-error.ts';
import { sha256 } from '../files/sha256.ts';
import { Refused } from '../../crds/facts/refusal.ts';
import type { LoraLayouts } from './contracts.ts';
import { createFolder, removeUnfinished, writeDurably } from '../files/durable-files.ts';
import { CorruptCheckpoint, decodeSnapshot, encodeSnapshot } from './snapshot.ts';
import type { Snapshot, RunOrigin, SavedSnapshot } from './snapshot.ts';

/** Digests of the other files, in the format of `sha256sum -c SHA256SUMS`. */
const SUMS = 'SHA256SUMS';

/**
 * The checkpoints of a run. `round-0007` is the end of round 7; `round-0008-part-2` a point within round 8. Each is a
 * folder that is created atomically, so a crash or a full disk loses at most the newest.
 */
export class CheckpointStore {
  readonly #folder: string;
  readonly #layouts: LoraLayouts;
  readonly #origin: RunOrigin;
  readonly #keep: number;
  readonly #write: (path: string, bytes: Uint8Array) => Promise<void>;

  /**
   * @param folder the run's checkpoints/
   * @param options.origin the inputs of the run; a checkpoint of another run is refused
   * @param options.keep number of checkpoints to keep
   * @param options.write writes one file to disk
   */
  constructor(
    folder: string,
    options: {
      layouts: LoraLayouts;
      origin: RunOrigin;
      keep: number;
      write?: (path: string, bytes: Uint8Array) => Promise<void>;
    },
  ) {
    this.#folder = folder;
    this.#layouts = options.layouts;
    this.#origin = options.origin;
    this.#keep = options.keep;
    this.#write = options.write ?? writeDurably;
  }

  /**
   * Writes a checkpoint, then removes old ones.
   * @throws UserError if the disk is full; earlier checkpoints stay intact
   */
  async save(saved: SavedSnapshot): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const names = await this.#names();
    const files = encodeSnapshot(saved, this.#layouts, this.#origin);
    files.set(SUMS, Buffer.from([...files].map(([name, bytes]) => `${sha256(bytes)}  ${name}\n`).join('')));
    const name = nameOf(saved.snapshot, names);
    await createFolder(join(this.#folder, name), files, this.#write);
    for (const old of outdated([...names, name], this.#keep))
      await rm(join(this.#folder, old), { recursive: true, force: true });
  }

  /**
   * Loads the newest intact checkpoint; null if there are none. A damaged one is renamed, with a warning.
   * @throws UserError if all are damaged, or they belong to another run
   */
  async load(warn: (message: string) => void): Promise<SavedSnapshot | null> {
    await mkdir(this.#folder, { recursive: true });
    await removeUnfinished(this.#folder);
    const names = await this.#names();
    for (const name of names.toReversed()) {
      const path = join(this.#folder, name);
      try {
        return await this.#read(path);
      } catch (error) {
        if (!(error instanceof CorruptCheckpoint || error instanceof Refused)) throw error;
        warn(`checkpoint ${path} is damaged (${error.message}): continuing from the one before it`);
        await rm(`${path}.damaged`, { recursive: true, force: true });
        await rename(path, `${path}.damaged`);
      }
    }
    if (names.length === 0) return null;
    throw new UserError(`every checkpoint in ${this.#folder} is damaged`, {
      hint: 'Start again with another --out folder, and check the disk of this one.',
    });
  }

  /** Oldest first. */
  async #names(): Promise<string[]> {
    const names = await readdir(this.#folder);
    return names.filter((name) => place(name) !== null).sort(byPlace);
  }

  async #read(path: string): Promise<SavedSnapshot> {
    return decodeSnapshot(await readFiles(path), this.#layouts, this.#origin.identity);
  }
}

/**
 * The files of the newest intact checkpoint in a run's checkpoints/; null if there is none. Only reads, as the run may
 * be active.
 */
export async function newestCheckpoint(
  folder: string,
): Promise<{ name: string; files: ReadonlyMap<string, Uint8Array> } | null> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names
    .filter((name) => place(name) !== null)
    .sort(byPlace)
    .toReversed()) {
    try {
      return { name, files: await readFiles(join(folder, name)) };
    } catch (error) {
      // Damaged, or just removed by the run, which keeps only the newest ones.
      if (!(error instanceof CorruptCheckpoint)) throw error;
    }
  }
  return null;
}

async function readFiles(path: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const [name, digest] of await readSums(path)) {
    const bytes = await readFile(join(path, name)).catch(() => null);
    if (bytes === null) throw new CorruptCheckpoint(`${name} is missing`);
    if (sha256(bytes) !== digest) throw new CorruptCheckpoint(`the SHA-256 of ${name} is not the one in ${SUMS}`);
    files.set(name, bytes);
  }
  return files;
}

async function readSums(path: string): Promise<[name: string, digest: string][]> {
  const text = await readFile(join(path, SUMS), 'utf8').catch(() => '');
  const sums = [...text.matchAll(/^([0-9a-f]{64}) {2}([a-z]+\.[a-z]+)$/gm)].map(
    ([, digest = '', name = '']): [string, string] => [name, digest],
  );
  if (sums.length === 0) throw new CorruptCheckpoint(`${SUMS} is missing or empty`);
  return sums;
}

/** Parses a checkpoint's round and part from its name. The end of a round sorts after all its parts. */
function place(name: string): { round: number; part: number } | null {
  const match = /^round-(\d{4,})(?:-part-(\d+))?$/.exec(name);
  return match && { round: Number(match[1]), part: match[2] === undefined ? Infinity : Number(match[2]) };
}

function byPlace(a: string, b: string): number {
  const [left, right] = [place(a), place(b)];
  if (left === null || right === null) return 0;
  // Comparisons, because Infinity − Infinity is NaN.
  return left.round - right.round || (left.part < right.part ? -1 : left.part > right.part ? 1 : 0);
}

const padded = (round: number) => String(round).padStart(4, '0');

function nameOf({ state, alignment }: Snapshot, taken: readonly string[]): string {
  if (state.at === 'Finished') return `round-${padded(state.round)}`;
  const end = `round-${padded(state.round - 1)}`;
  if (state.at === 'Align' && state.round > 1 && alignment === null && !taken.includes(end)) return end;
  const parts = taken.map(place).flatMap((at) => (at?.round === state.round && at.part !== Infinity ? [at.part] : []));
  return `round-${padded(state.round)}-part-${Math.max(0, ...parts) + 1}`;
}

/**
 * The names to remove: all but the newest `keep` ends of rounds, and the newest `keep` parts of the round after them.
 */
function outdated(names: readonly string[], keep: number): string[] {
  const isEnd = (name: string) => place(name)?.part === Infinity;
  const lastEnd = names.findLastIndex(isEnd);
  const kept = new Set([...names.filter(isEnd).slice(-keep), ...names.slice(lastEnd + 1).slice(-keep)]);
  return names.filter((name) => !kept.has(name));
}
