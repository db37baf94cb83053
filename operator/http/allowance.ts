/** A rate limit per second, for each key and in total. */
export class Allowance {
  readonly #perKey: number;
  readonly #total: number;
  #second = -1;
  /** Has at most as many entries as the total limit. */
  readonly #taken = new Map<string, number>();
  #all = 0;

  constructor(perKey: number, total: number) {
    this.#perKey = perKey;
    this.#total = total;
  }

  /** Takes one if the limits allow it; whether they do. `now`: milliseconds. */
  take(key: string, now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#taken.clear();
      this.#all = 0;
    }
    const taken = this.#taken.get(key) ?? 0;
    if (taken >= this.#perKey || this.#all >= this.#total) return false;
    this.#taken.set(key, taken + 1);
    this.#all++;
    return true;
  }
}
