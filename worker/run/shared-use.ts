/** CPU time of this process, and wall-clock time. */
export interface Amounts {
  readonly cpuSeconds: number;
  readonly seconds: number;
}

/**
 * Divides the usage of this process equally among its running tasks, so that their shares add up to the total and
 * nothing is counted twice.
 */
export class SharedUse {
  readonly #read: () => Amounts;
  readonly #shares = new Set<{ cpuSeconds: number; seconds: number }>();
  #last: Amounts;

  constructor(read: () => Amounts) {
    this.#read = read;
    this.#last = read();
  }

  /** Starts a task. Its share grows until `end` is called. */
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
