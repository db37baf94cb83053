import { TransportClosed } from './contract.ts';

interface Waiter {
  readonly wake: () => void;
}

/** A first-in, first-out queue in which both ends can wait. */
export class Mailbox<T> {
  readonly #capacity: number;
  #items: T[] = [];
  #takers: Waiter[] = [];
  #givers: Waiter[] = [];
  #closed = false;

  /** @param capacity number of items at which `put` waits */
  constructor(capacity = Infinity) {
    this.#capacity = capacity;
  }

  /** Adds an item once there is room. @throws TransportClosed */
  async put(item: T): Promise<void> {
    while (!this.#closed && this.#items.length >= this.#capacity) {
      await new Promise<void>((wake) => this.#givers.push({ wake }));
    }
    if (this.#closed) throw new TransportClosed();
    this.#items.push(item);
    this.#takers.shift()?.wake();
  }

  /** Puts items back at the front. */
  putBack(items: readonly T[]): void {
    this.#items.unshift(...items);
    for (const _ of items) this.#takers.shift()?.wake();
  }

  /**
   * The result of `claim` for the oldest item; null once `signal` has aborted or the mailbox is closed. `claim` runs in
   * the same turn in which the item is removed, so that the item always has an owner.
   */
  async take<R>(signal: AbortSignal, claim: (item: T) => R): Promise<R | null> {
    while (!this.#closed && !signal.aborted) {
      if (this.#items.length > 0) return this.poll(claim);
      await this.#filled(signal);
    }
    // This taker may have been woken for an item that it does not take: wake the next one.
    if (this.#items.length > 0) this.#takers.shift()?.wake();
    return null;
  }

  /** As `take`, but returns null at once if there is no item. */
  poll<R>(claim: (item: T) => R): R | null {
    const [item] = this.#items;
    if (item === undefined) return null;
    this.#items.shift();
    this.#givers.shift()?.wake();
    return claim(item);
  }

  some(wanted: (item: T) => boolean): boolean {
    return this.#items.some(wanted);
  }

  remove(unwanted: (item: T) => boolean): void {
    this.#items = this.#items.filter((item) => !unwanted(item));
    while (this.#items.length < this.#capacity && this.#givers.length > 0) this.#givers.shift()?.wake();
  }

  close(): void {
    this.#closed = true;
    this.#items = [];
    for (const { wake } of [...this.#takers, ...this.#givers]) wake();
    this.#takers = [];
    this.#givers = [];
  }

  #filled(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const waiter = { wake };
      const leave = () => {
        this.#takers = this.#takers.filter((other) => other !== waiter);
        resolve();
      };
      this.#takers.push(waiter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}
