import type { RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';

/** Nothing came yet of what the kubeconfig names to say who we are. */
export class NoCredentials extends Error {
  override readonly name = 'NoCredentials';
}

/** For how long whoever is asked first is waited for, before somebody else is asked beside. */
const STALE_MS = 60_000;

/**
 * Adds to requests who makes them. An exec plugin, as clouds have them, may wait for a login, or for ever: it is waited for no longer than
 * the request has time, and not started once for each.
 */
export class Authentication {
  readonly #kubeConfig: KubeConfig;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #since = 0;

  constructor(kubeConfig: KubeConfig) {
    this.#kubeConfig = kubeConfig;
  }

  /** @throws NoCredentials once `signal` is aborted; what client-node throws */
  async apply(options: RequestOptions, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    if (this.#waiting === 0) this.#since = now;
    else if (now - this.#since > STALE_MS) [this.#last, this.#since] = [Promise.resolve(), now];
    this.#waiting++;
    const applied = this.#last.then(() => this.#kubeConfig.applyToHTTPSOptions(options)).finally(() => {
      this.#waiting--;
      this.#since = performance.now();
    });
    // Whoever comes next finds what this one got.
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
