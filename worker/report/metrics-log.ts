import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { RunEvent } from '../../crds/facts/events.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { unable } from '../files/system-failure.ts';

const BUFFER_LIMIT = 64 * 1024;
const BUFFER_MILLISECONDS = 1000;
const NEWLINE = 0x0a;

/**
 * Appends run events to metrics.jsonl, one JSON object per line. Steps are buffered, up to a second or 64 KiB; any
 * other event is written at once, together with the buffered steps. Writes are synchronous: lines are small, and their
 * order on disk is the order of the calls.
 */
export class MetricsLog {
  readonly path: string;
  readonly #file: number;
  #written: number;
  #buffer: Buffer[] = [];
  #buffered = 0;
  #bufferedSince = 0;

  /**
   * Opens the file for appending, and creates it if missing.
   * @throws UserError if that fails
   */
  constructor(path: string) {
    this.path = path;
    this.#file = this.#do('open', () => openSync(path, 'a+'));
    this.#written = fstatSync(this.#file).size;
  }

  append(event: RunEvent): void {
    const line = Buffer.from(`${JSON.stringify(event)}\n`);
    const now = performance.now();
    if (this.#buffered === 0) this.#bufferedSince = now;
    this.#buffer.push(line);
    this.#buffered += line.length;
    if (event.event !== 'step' || this.#buffered >= BUFFER_LIMIT || now - this.#bufferedSince >= BUFFER_MILLISECONDS)
      this.flush();
  }

  /** Writes buffered lines to the file. */
  flush(): void {
    if (this.#buffered === 0) return;
    const bytes = Buffer.concat(this.#buffer);
    let at = 0;
    try {
      this.#do('write', () => {
        while (at < bytes.length) at += writeSync(this.#file, bytes, at);
      });
    } finally {
      // On a full disk, part of a line may be written. The next write continues after it.
      this.#written += at;
      this.#buffer = at < bytes.length ? [bytes.subarray(at)] : [];
      this.#buffered = bytes.length - at;
    }
  }

  /** Writes buffered lines and returns the length in bytes. Killing the process then loses nothing. */
  length(): number {
    this.flush();
    return this.#written;
  }

  /**
   * Syncs the file to disk. Required before a checkpoint that records `length`, so that a power failure cannot lose
   * these bytes.
   */
  sync(): void {
    this.flush();
    this.#do('write', () => fsyncSync(this.#file));
  }

  /** Truncates the file to this length. A resumed run emits the later events again. */
  truncateTo(bytes: number): void {
    this.flush();
    if (bytes > this.#written || (bytes > 0 && this.#byteAt(bytes - 1) !== NEWLINE)) {
      throw new UserError(
        `${this.path} is not the file the checkpoint was written with: no line ends at byte ${bytes} of ${this.#written}`,
        { hint: 'Restore the original file, or start again in an empty output folder.' },
      );
    }
    this.#do('write', () => ftruncateSync(this.#file, bytes));
    this.#written = bytes;
  }

  close(): void {
    this.flush();
    closeSync(this.#file);
  }

  #byteAt(position: number): number | undefined {
    const byte = Buffer.alloc(1);
    return readSync(this.#file, byte, 0, 1, position) === 1 ? byte[0] : undefined;
  }

  #do<T>(what: string, action: () => T): T {
    try {
      return action();
    } catch (cause) {
      throw unable(`cannot ${what} ${this.path}`, cause);
    }
  }
}
