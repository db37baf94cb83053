/** A rate limit per second: for each key, and for all together. */
export class Allowance {
  readonly #ofOne: number;
  readonly #inAll: number;
  #second = -1;
  /** Has at most as many entries as are allowed in total. */
  readonly #taken = new Map<string, number>();
  #all = 0;

  constructor(ofOne: number, inAll: number) {
    this.#ofOne = ofOne;
    this.#inAll = inAll;
  }

  /** Whether one more is allowed. `now`: in milliseconds. */
  take(one: string, now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#taken.clear();
      this.#all = 0;
    }
    const taken = this.#taken.get(one) ?? 0;
    if (taken >= this.#ofOne || this.#all >= this.#inAll) return false;
    this.#taken.set(one, taken + 1);
    this.#all++;
    return true;
  }
}
