import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Bytes } from '../files/sha256.ts';
import type { TokenSequence } from '../inference/packs.ts';
import { SWEPT_STATES } from '../inference/layer-sweep.ts';
import type { SweepOptions } from '../inference/layer-sweep.ts';
import type { HiddenStates, TrunkRunner } from '../inference/trunk-runner.ts';

/** Memory for hidden states that are constant over the job, and disk space for those of the public data, in bytes. */
export const STATES_MEMORY = 2 ** 29;
export const STATES_DISK = 8 * 2 ** 30;

type Pack = readonly TokenSequence[];
type PackRunner = Pick<TrunkRunner, 'passes' | 'sweptTokens'>;

export interface TeacherStatesOptions {
  readonly runner: PackRunner;
  /** All sequences that may be requested, in the groups that are computed together. */
  readonly packs: readonly Pack[];
  /** Number of layers whose states the runner returns. */
  readonly layers: number;
  /** Bytes of states held in memory. The least recently used are evicted first. */
  readonly memoryBytes: number;
  /** Disk cache that keeps states between runs; null keeps them only in memory. */
  readonly disk: DiskCache | null;
}

export interface DiskCache {
  /** Its name must identify everything but the sequence that the states depend on. */
  readonly directory: string;
  readonly bytes: number;
  /** Throws if the model has changed since its states were named: they are no longer kept. */
  readonly checkUnchanged: () => void;
}

/**
 * The teacher part's hidden states of the public sequences. They are constant over the job, as the teacher never
 * changes. Each is computed once and cached in memory and on disk. Sequences are computed in fixed packs, so that a
 * state's bits do not depend on earlier requests.
 */
export class TeacherStates {
  readonly #runner: PackRunner;
  readonly #packs = new Map<string, Pack>();
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

  /**
   * The states of each sequence, in the order of the request.
   * @param following the sequences of later requests, in order. If the runner reads its weights once for many tokens,
   * their states are computed as well, as far as memory can hold them until they are requested
   */
  async of(
    sequences: readonly TokenSequence[],
    following: () => Iterable<TokenSequence> = () => [],
    options: SweepOptions = {},
  ): Promise<HiddenStates[]> {
    const states: HiddenStates[] = [];
    for (const [i, { id }] of sequences.entries()) {
      const later = function* () {
        yield* sequences.slice(i + 1);
        yield* following();
      };
      states.push(this.#held(id) ?? (await this.#compute(id, later(), options)));
    }
    return states;
  }

  #held(id: string): HiddenStates | undefined {
    const states = this.#memory.get(id) ?? this.#read(id);
    if (states) this.#hold(id, states);
    return states;
  }

  async #compute(id: string, following: Iterable<TokenSequence>, options: SweepOptions): Promise<HiddenStates> {
    const packs = this.#packsToCompute(this.#packOf(id), following);
    let wanted: HiddenStates | undefined;
    let next = 0;
    for await (const computed of this.#runner.passes(packs, {}, options)) {
      const pack = packs[next++]!;
      pack.forEach((sequence, i) => this.#hold(sequence.id, computed[i]!));
      // Written later, while the step that waits for the states is computed.
      setImmediate(() => pack.forEach((sequence, i) => this.#write(sequence.id, computed[i]!)));
      wanted ??= computed[pack.findIndex((sequence) => sequence.id === id)];
    }
    return wanted!;
  }

  /** The first pack, and the packs of later requests whose states are missing, as many as one sweep should have. */
  #packsToCompute(first: Pack, later: Iterable<TokenSequence>): Pack[] {
    const packs = new Set([first]);
    const limit = this.#runner.sweptTokens * Math.min(1, this.#limit / SWEPT_STATES);
    const seen = new Set<string>();
    let tokens = tokensOf(first);
    for (const { id, inputIds } of limit > tokens ? later : []) {
      const pack = this.#packOf(id);
      if (packs.has(pack) || seen.has(id)) continue;
      seen.add(id);
      const isHeld = this.#memory.has(id) || this.#isOnDisk(id);
      tokens += isHeld ? inputIds.length : tokensOf(pack);
      if (tokens > limit) break;
      if (!isHeld) packs.add(pack);
    }
    return [...packs];
  }

  #isOnDisk(id: string): boolean {
    return this.#disk !== null && existsSync(join(this.#disk.directory, id));
  }

  #packOf(id: string): Pack {
    const pack = this.#packs.get(id);
    if (!pack) throw new Error(`sequence ${id} is not in the pool`);
    return pack;
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

  /**
   * A file contains the states of all compared layers, followed by their SHA-256. States of a torn or damaged file are
   * computed again.
   */
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
      this.#disk.checkUnchanged();
      writeFileSync(`${file}.part`, Buffer.concat([content, sha256Bytes(content)]));
      renameSync(`${file}.part`, file);
      this.#diskBytes += content.length;
    } catch {
      // The cache only saves time: when the disk is full, the states are computed again. The caller notices a changed
      // model itself.
      this.#diskBytes = Infinity;
    }
  }
}

const DIGEST_BYTES = 32;

const tokensOf = (pack: Pack): number => pack.reduce((sum, { inputIds }) => sum + inputIds.length, 0);

function bytesOf(states: HiddenStates): number {
  return states.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function bytesIn(directory: string): number {
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}
