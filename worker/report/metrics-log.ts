import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { RunEvent } from '../../crds/facts/events.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { unable } from '../files/system-failure.ts';

const BUFFER_LIMIT = 64 * 1024;
const BUFFER_MILLISECONDS = 1000;
const NEWLINE = 0x0a;

/**
 * Appends run events to metrics.jsonl, one JSON object a line. Steps are buffered for at most a second of events or 64
 * KiB; every other event is written at once, with the steps before it. Writing is synchronous: a line is small, and the
 * order on disk is the order of the calls.
 */
export class MetricsLog {
  readonly path: string;
  readonly #file: number;
  #written: number;
  #buffer: Buffer[] = [];
  #buffered = 0;
  #bufferedSince = 0;

  /** Opens the file for appending and creates it when missing. Throws a UserError where that is impossible. */
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

  /** Hands buffered lines to the operating system. */
  flush(): void {
    if (this.#buffered === 0) return;
    const bytes = Buffer.concat(this.#buffer);
    let at = 0;
    try {
      this.#do('write', () => {
        while (at < bytes.length) at += writeSync(this.#file, bytes, at);
      });
    } finally {
      // A full disk can take the first half of a line: whoever writes again goes on behind it.
      this.#written += at;
      this.#buffer = at < bytes.length ? [bytes.subarray(at)] : [];
      this.#buffered = bytes.length - at;
    }
  }

  /** Length in bytes, once the operating system has everything appended: killing the process no longer loses it. */
  length(): number {
    this.flush();
    return this.#written;
  }

  /**
   * Waits until everything appended is on the disk. Before a checkpoint that records `length`: a power cut must not
   * lose it.
   */
  sync(): void {
    this.flush();
    this.#do('write', () => fsyncSync(this.#file));
  }

  /** Forgets what was appended after the file had this length: what a resumed run will do again. */
  truncateTo(bytes: number): void {
    this.flush();
    if (bytes > this.#written || (bytes > 0 && this.#byteAt(bytes - 1) !== NEWLINE)) {
      throw new UserError(
        `${this.path} is not the file the checkpoint was written with: no line ends at byte ${bytes} of ${this.#written}`,
        { hint: 'Restore the file as the run left it, or start again in an empty output folder.' },
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
