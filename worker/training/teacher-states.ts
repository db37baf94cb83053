import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Bytes } from '../files/sha256.ts';
import type { TokenSequence } from '../inference/packs.ts';
import type { HiddenStates, TrunkRunner } from '../inference/trunk-runner.ts';

/** Bytes of memory for hidden states that are constants of the job, and of disk for those of the public data. */
export const STATES_MEMORY = 2 ** 29;
export const STATES_DISK = 8 * 2 ** 30;

export interface TeacherStatesOptions {
  readonly runner: Pick<TrunkRunner, 'run'>;
  /** All sequences that may be asked for, in the groups that are computed together. */
  readonly packs: readonly (readonly TokenSequence[])[];
  /** Layers the runner yields states of. */
  readonly layers: number;
  /** Bytes of states held in memory; the least recently used go first. */
  readonly memoryBytes: number;
  /** Where states are kept between runs, and how many bytes of them; null keeps them in memory only. */
  readonly disk: DiskCache | null;
}

export interface DiskCache {
  /** Its name must tell everything that the states depend on besides the sequence. */
  readonly directory: string;
  readonly bytes: number;
}

/**
 * The teacher part's hidden states of the public sequences: constants of the job, since the teacher never changes. Each
 * is computed once and kept in memory and on disk. Sequences are computed in fixed packs, so that a state's bits do not
 * depend on what was asked for before.
 */
export class TeacherStates {
  readonly #runner: Pick<TrunkRunner, 'run'>;
  readonly #packs = new Map<string, readonly TokenSequence[]>();
  readonly #memory = new Map<string, HiddenStates>();
  readonly #limit: number;
  readonly #layers: number;
  readonly #disk: DiskCache | null;
  #bytes = 0;
  #diskBytes = 0;

  constructor({ runner, packs, layers, memoryBytes, disk }: TeacherStatesOptions) {
    this.#runner = runner;
    this.#layers = layers;
    this.#limit = memoryBytes;
    this.#disk = disk;
    if (disk !== null) {
      mkdirSync(disk.directory, { recursive: true });
      this.#diskBytes = bytesIn(disk.directory);
    }
    for (const pack of packs) for (const { id } of pack) this.#packs.set(id, pack);
  }

  /** States of each sequence, in the order asked for. */
  async of(sequences: readonly TokenSequence[]): Promise<HiddenStates[]> {
    const states: HiddenStates[] = [];
    for (const { id } of sequences) states.push(this.#held(id) ?? (await this.#compute(id)));
    return states;
  }

  #held(id: string): HiddenStates | undefined {
    const states = this.#memory.get(id) ?? this.#read(id);
    if (states) this.#hold(id, states);
    return states;
  }

  async #compute(id: string): Promise<HiddenStates> {
    const pack = this.#packs.get(id);
    if (!pack) throw new Error(`sequence ${id} is not of the pool`);
    const computed = await this.#runner.run(pack, {});
    pack.forEach((sequence, i) => this.#hold(sequence.id, computed[i]!));
    // Later, while the step that waits for them is computed.
    setImmediate(() => pack.forEach((sequence, i) => this.#write(sequence.id, computed[i]!)));
    return computed[pack.findIndex((sequence) => sequence.id === id)]!;
  }

  #hold(id: string, states: HiddenStates): void {
    if (!this.#memory.delete(id)) this.#bytes += bytesOf(states);
    this.#memory.set(id, states);
    for (const [oldest, held] of this.#memory) {
      if (this.#bytes <= this.#limit) return;
      this.#memory.delete(oldest);
      this.#bytes -= bytesOf(held);
    }
  }

  /** A file holds the states of all compared layers, then their SHA-256; a torn or damaged one is computed anew. */
  #read(id: string): HiddenStates | undefined {
    if (this.#disk === null) return undefined;
    let bytes: Buffer;
    try {
      bytes = readFileSync(join(this.#disk.directory, id));
    } catch {
      return undefined;
    }
    const content = bytes.subarray(0, -DIGEST_BYTES);
    if (!sha256Bytes(content).equals(bytes.subarray(-DIGEST_BYTES))) return undefined;
    const values = new Float32Array(Uint8Array.from(content).buffer);
    const size = values.length / this.#layers;
    return Array.from({ length: this.#layers }, (_, i) => values.slice(i * size, (i + 1) * size));
  }

  #write(id: string, states: HiddenStates): void {
    if (this.#disk === null || this.#diskBytes + bytesOf(states) > this.#disk.bytes) return;
    const content = Buffer.concat(
      states.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)),
    );
    const file = join(this.#disk.directory, id);
    try {
      writeFileSync(`${file}.part`, Buffer.concat([content, sha256Bytes(content)]));
      renameSync(`${file}.part`, file);
      this.#diskBytes += content.length;
    } catch {
      // The cache only saves time: when the disk is full, the states are computed again.
      this.#diskBytes = Infinity;
    }
  }
}

const DIGEST_BYTES = 32;

function bytesOf(states: HiddenStates): number {
  return states.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function bytesIn(directory: string): number {
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}
