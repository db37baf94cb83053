import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { KIND } from '../crds/schema/job.ts';
import type { ApiClient } from './kube/api-client.ts';
import { CODE, isApiError } from './kube/api-error.ts';

const DEFINITION = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/fedbiotjobs.fedbiot.io';

const NOT_INSTALLED = `the kind ${KIND} is not installed in the cluster: kubectl apply -f crds/fedbiotjob.yaml`;

/** How often to look whether the caches are filled; and every how many looks to ask why they are not. */
const LOOK_MS = 100;
const LOOKS_PER_QUESTION = 20;

export interface ReadinessSettings {
  readonly client: Pick<ApiClient, 'json'>;
  readonly log: Logger;
  /** What the caches lack, in words; null: nothing. */
  missing(): string | null;
}

/** What a replica waits for before it may lead. */
export class Readiness {
  readonly #settings: ReadinessSettings;
  #isInstalled = true;

  constructor(settings: ReadinessSettings) {
    this.#settings = settings;
  }

  /** What is missing still, in words; null: nothing. */
  missing(): string | null {
    const missing = this.#settings.missing();
    return missing === null || this.#isInstalled ? missing : NOT_INSTALLED;
  }

  /** Once nothing is missing; false: `signal` came first. Says what only a person can change. */
  async complete(signal: AbortSignal): Promise<boolean> {
    for (let looks = 1; !signal.aborted && this.#settings.missing() !== null; looks++) {
      if (looks % LOOKS_PER_QUESTION === 0) await this.#ask();
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
    return !signal.aborted;
  }

  /** Where the kind is not installed, watching it fails like anything else. */
  async #ask(): Promise<void> {
    try {
      await this.#settings.client.json('GET', DEFINITION);
      this.#isInstalled = true;
    } catch (error) {
      // Why else it does not answer, the watches tell.
      if (!isApiError(error, CODE.notFound)) return;
      if (this.#isInstalled) this.#settings.log.error(NOT_INSTALLED);
      this.#isInstalled = false;
    }
  }
}
