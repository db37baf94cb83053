import { setTimeout as sleep } from 'node:timers/promises';
import { TransportClosed } from '../contract.ts';

/** How long `close` waits for running calls if Redis does not answer. */
const PATIENCE_MS = 5_000;

/** The running calls of one end of the transport: closing it waits for them instead of aborting them. */
export class Pending {
  readonly #closing = new AbortController();
  readonly #calls = new Set<Promise<unknown>>();

  /** Aborts when this end closes. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** @throws TransportClosed */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.closing.aborted) throw new TransportClosed();
    const running = call();
    this.#calls.add(running);
    try {
      return await running;
    } finally {
      this.#calls.delete(running);
    }
  }

  /** Refuses further calls, and waits for the running ones. */
  async end(): Promise<void> {
    this.#closing.abort();
    await within(Promise.allSettled(this.#calls));
  }
}

/** Waits for `work`, with a limit. */
export async function within(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => (timer = setTimeout(resolve, PATIENCE_MS)));
  await Promise.race([work.catch(() => undefined), enough]);
  clearTimeout(timer);
}

const FIRST_POLL_MS = 10;
const MAX_POLL_MS = 1_000;

/** The waits between polls: short at first, longer while nothing arrives; `signal` ends each. */
export function poller(signal: AbortSignal): () => Promise<void> {
  let ms = FIRST_POLL_MS;
  return async () => {
    await sleep(ms, undefined, { signal }).catch(() => undefined);
    ms = Math.min(2 * ms, MAX_POLL_MS);
  };
}
