/** Processor time of this process, and time on the clock. */
export interface Amounts {
  readonly cpuSeconds: number;
  readonly seconds: number;
}

/**
 * Divides what is used in this process among the tasks that are under way in it, in equal parts, so that their shares
 * add up to what was used while any was, and nothing is counted twice.
 */
export class SharedUse {
  readonly #read: () => Amounts;
  readonly #shares = new Set<{ cpuSeconds: number; seconds: number }>();
  #last: Amounts;

  constructor(read: () => Amounts) {
    this.#read = read;
    this.#last = read();
  }

  /** A task begins: its share grows until it ends. */
  begin(): { readonly share: Amounts; end(): void } {
    this.#divide();
    const share = { cpuSeconds: 0, seconds: 0 };
    this.#shares.add(share);
    const end = () => {
      this.#divide();
      this.#shares.delete(share);
    };
    return { share, end };
  }

  #divide(): void {
    const now = this.#read();
    for (const share of this.#shares) {
      share.cpuSeconds += (now.cpuSeconds - this.#last.cpuSeconds) / this.#shares.size;
      share.seconds += (now.seconds - this.#last.seconds) / this.#shares.size;
    }
    this.#last = now;
  }
}
