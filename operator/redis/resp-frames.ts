/** Properties of a frame of RESP2, the protocol of Redis, that need no storage of the frame. */
export interface Frame {
  /** The frame's type and those of its first items: `+` text, `-` error, `:` number, `$` bytes, `*` array, `_` null. */
  readonly shape: string;
  /** The beginning of its first bulk string, as Latin-1. */
  readonly word: string;
}

export interface FrameLimits {
  /** Bytes of a frame, announced or received. */
  bytes(): number;
  /** Items of all its arrays. */
  readonly items: number;
  /** Nesting of arrays. */
  readonly depth: number;
}

/** The input is not RESP2, or exceeds the limits. */
export class BadFrame extends Error {
  override readonly name = 'BadFrame';
}

const SHAPE_LENGTH = 5;
const WORD_LENGTH = 16;

/** Lines hold lengths, numbers, errors and words such as OK; longer values are bulk strings. */
const MAX_LINE_BYTES = 8192;

/**
 * Reads RESP2 as it arrives, in pieces of any length, and stores only the current line. It is strict, so that the
 * client's parser sees the same frames.
 */
export class FrameReader {
  readonly #limits: FrameLimits;
  readonly #received: (frame: Frame) => void;
  #line = '';
  /** Bytes of a bulk string and its line end that have not arrived yet. */
  #awaited = 0;
  /** Items that have not arrived yet, of each open array. */
  #open: number[] = [];
  #bytes = 0;
  #items = 0;
  #shape = '';
  #word: string | null = null;
  #wordLength = 0;

  constructor(limits: FrameLimits, received: (frame: Frame) => void) {
    this.#limits = limits;
    this.#received = received;
  }

  /** @throws BadFrame, or the error of `received`; nothing can be read after that */
  write(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;)
      at += this.#awaited > 0 ? this.#takeBytes(chunk, at) : this.#takeLine(chunk, at);
  }

  #takeBytes(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#awaited, chunk.length - at);
    if (this.#word !== null && this.#word.length < this.#wordLength) {
      this.#word += chunk.toString('latin1', at, at + Math.min(taken, this.#wordLength - this.#word.length));
    }
    this.#awaited -= taken;
    if (this.#awaited === 0) this.#ended();
    return taken;
  }

  #takeLine(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(0x0a, at);
    const stop = end === -1 ? chunk.length : end + 1;
    this.#line += chunk.toString('latin1', at, stop);
    if (this.#line.length > MAX_LINE_BYTES) throw new BadFrame(`a line has more than ${MAX_LINE_BYTES} bytes`);
    if (end !== -1) {
      const line = this.#line;
      this.#line = '';
      if (line.length < 2 || line.indexOf('\r') !== line.length - 2)
        throw new BadFrame('a line does not end with CR LF');
      this.#count(line.length);
      this.#begun(line.charAt(0), line.slice(1, -2));
    }
    return stop - at;
  }

  /** A line has been read: its type, and the text after it. */
  #begun(type: string, text: string): void {
    const isNull = (type === '$' || type === '*') && text === '-1';
    if (this.#open.length < 2 && this.#shape.length < SHAPE_LENGTH) this.#shape += isNull ? '_' : type;
    if (type === '+' || type === '-' || isNull) return this.#ended();
    if (type === ':' && /^[+-]?\d{1,20}$/.test(text)) return this.#ended();
    if ((type !== '$' && type !== '*') || !/^\d{1,15}$/.test(text)) throw new BadFrame('it does not speak RESP2');
    const length = Number(text);
    if (type === '$') {
      this.#count(length + 2);
      this.#awaited = length + 2;
      if (this.#word === null) [this.#word, this.#wordLength] = ['', Math.min(length, WORD_LENGTH)];
      return;
    }
    this.#items += length;
    if (this.#items > this.#limits.items)
      throw new BadFrame(`an answer has ${this.#items} items; at most ${this.#limits.items} are read`);
    if (length === 0) return this.#ended();
    this.#open.push(length);
    if (this.#open.length > this.#limits.depth)
      throw new BadFrame(`an answer has arrays nested more than ${this.#limits.depth} levels deep`);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#limits.bytes())
      throw new BadFrame(`an answer has ${this.#bytes} bytes or more; at most ${this.#limits.bytes()} are read`);
  }

  /** A value is complete; the last one of an array completes the array. */
  #ended(): void {
    for (let last = this.#open.length - 1; last >= 0; last--) {
      const left = (this.#open[last] ?? 0) - 1;
      if (left > 0) {
        this.#open[last] = left;
        return;
      }
      this.#open.pop();
    }
    const frame = { shape: this.#shape, word: this.#word ?? '' };
    [this.#bytes, this.#items, this.#shape, this.#word, this.#wordLength] = [0, 0, '', null, 0];
    this.#received(frame);
  }
}
