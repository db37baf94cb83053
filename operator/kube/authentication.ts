import type { RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';

/** The kubeconfig's source of credentials did not answer in time. */
export class NoCredentials extends Error {
  override readonly name = 'NoCredentials';
}

/** After this time without an answer, another process is started as well. */
const STALE_MS = 60_000;

/**
 * Adds credentials to requests. A cloud's exec plugin may wait for a login, or hang: it is awaited no longer than the
 * request's timeout, and concurrent requests share one process.
 */
export class Authentication {
  readonly #kubeConfig: KubeConfig;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #since = 0;

  constructor(kubeConfig: KubeConfig) {
    this.#kubeConfig = kubeConfig;
  }

  /** @throws NoCredentials when `signal` is aborted, or client-node's error */
  async apply(options: RequestOptions, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    if (this.#waiting === 0) this.#since = now;
    else if (now - this.#since > STALE_MS) [this.#last, this.#since] = [Promise.resolve(), now];
    this.#waiting++;
    const applied = this.#last
      .then(() => this.#kubeConfig.applyToHTTPSOptions(options))
      .finally(() => {
        this.#waiting--;
        this.#since = performance.now();
      });
    // The next request reuses the credentials of this one.
    this.#last = applied.catch(() => undefined);
    const over = Promise.withResolvers<never>();
    const tooLate = () => over.reject(new NoCredentials(`no credentials from ${this.#source()}`));
    signal.addEventListener('abort', tooLate, { once: true });
    if (signal.aborted) tooLate();
    try {
      await Promise.race([applied, over.promise]);
    } finally {
      signal.removeEventListener('abort', tooLate);
    }
  }

  #source(): string {
    const command: unknown = this.#kubeConfig.getCurrentUser()?.exec?.command;
    return typeof command === 'string' ? `the kubeconfig's exec plugin ${command}` : 'the kubeconfig';
  }
}
