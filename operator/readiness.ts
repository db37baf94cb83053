import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { KIND } from '../crds/schema/job.ts';
import type { ApiClient } from './kube/api-client.ts';
import { CODE, isApiError } from './kube/api-error.ts';

const DEFINITION = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/fedbiotjobs.fedbiot.io';

const NOT_INSTALLED = `the kind ${KIND} is not installed in the cluster: kubectl apply -f crds/fedbiotjob.yaml`;

/** How often to check whether the caches are filled, and after how many checks to find out why they are not. */
const CHECK_MS = 100;
const CHECKS_PER_REQUEST = 20;

export interface ReadinessSettings {
  readonly client: Pick<ApiClient, 'json'>;
  readonly log: Logger;
  /** What the caches have not listed yet, as text; null: nothing. */
  missing(): string | null;
}

/** Whether a replica is ready to lead. */
export class Readiness {
  readonly #settings: ReadinessSettings;
  #isInstalled = true;

  constructor(settings: ReadinessSettings) {
    this.#settings = settings;
  }

  /** What is still missing, as text; null: nothing. */
  missing(): string | null {
    const missing = this.#settings.missing();
    return missing === null || this.#isInstalled ? missing : NOT_INSTALLED;
  }

  /** Waits until nothing is missing; false: `signal` aborted first. Logs it when the CRD is not installed. */
  async complete(signal: AbortSignal): Promise<boolean> {
    for (let checks = 1; !signal.aborted && this.#settings.missing() !== null; checks++) {
      if (checks % CHECKS_PER_REQUEST === 0) await this.#checkInstalled();
      await sleep(CHECK_MS, undefined, { signal }).catch(() => undefined);
    }
    return !signal.aborted;
  }

  /** A watch of a kind that is not installed fails like any other watch; this request tells the difference. */
  async #checkInstalled(): Promise<void> {
    try {
      await this.#settings.client.json('GET', DEFINITION);
      this.#isInstalled = true;
    } catch (error) {
      // The watches report every other error.
      if (!isApiError(error, CODE.notFound)) return;
      if (this.#isInstalled) this.#settings.log.error(NOT_INSTALLED);
      this.#isInstalled = false;
    }
  }
}
