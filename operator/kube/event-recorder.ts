import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { errorMessage } from '../../crds/facts/user-error.ts';
import { GROUP } from '../../crds/schema/job.ts';
import { jobLog } from '../process/log.ts';
import type { EventRecord, EventSubject } from '../objects/event.ts';
import { MERGE_PATCH } from './api-client.ts';
import type { ApiClient } from './api-client.ts';
import { collectionPath, objectPath, RESOURCE } from '../objects/resources.ts';

/** The API server's limits: bytes of `note`, characters of `reason`. */
const MAX_NOTE_BYTES = 1024;
const MAX_REASON = 128;

/** As in client-go: an event that recurs within this time increments the count of its series. */
const SERIES_MS = 6 * 60_000;

/** As in client-go, per job: a burst of events, and one more every five minutes. */
const BURST = 25;
const REFILL_MS = 5 * 60_000;

interface Series {
  readonly uid: string;
  /** Name of the Event. */
  readonly name: string;
  count: number;
  lastMs: number;
  /** Settles once all writes of the series so far are done. */
  written: Promise<void>;
}

interface Allowance {
  events: number;
  at: number;
}

export interface EventRecorderSettings {
  readonly client: ApiClient;
  readonly log: Logger;
  /** Name of the operator's pod or process. */
  readonly instance: string;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Writes jobs' events to the API server in the background. A failed write is logged. */
export class EventRecorder {
  readonly #settings: EventRecorderSettings;
  readonly #now: () => number;
  readonly #series = new Map<string, Series>();
  readonly #allowances = new Map<string, Allowance>();

  constructor(settings: EventRecorderSettings) {
    this.#settings = settings;
    this.#now = settings.now ?? Date.now;
  }

  record(job: EventSubject, event: EventRecord): void {
    const now = this.#now();
    const { uid } = job.metadata;
    if (!this.#take(uid, now)) {
      this.#log(job).warn({ event: event.reason }, 'too many events of this job: one is dropped');
      return;
    }
    const key = JSON.stringify([uid, event.type, event.reason, event.message]);
    const known = this.#series.get(key);
    if (known !== undefined && now - known.lastMs < SERIES_MS) {
      known.count++;
      known.lastMs = now;
      const { count } = known;
      known.written = known.written.then(() => this.#attempt(job, key, () => this.#repeat(job, known, count, now)));
      return;
    }
    this.#forgetPast(now);
    const series: Series = { uid, name: nameOf(job), count: 1, lastMs: now, written: Promise.resolve() };
    series.written = this.#attempt(job, key, () => this.#create(job, event, series.name, now));
    this.#series.set(key, series);
  }

  /** The job is gone. */
  forget(uid: string): void {
    this.#allowances.delete(uid);
    for (const [key, series] of this.#series) if (series.uid === uid) this.#series.delete(key);
  }

  /** Waits until all writes have succeeded or failed. */
  async settled(): Promise<void> {
    await Promise.all([...this.#series.values()].map(({ written }) => written));
  }

  #log({ metadata }: EventSubject): Logger {
    return jobLog(this.#settings.log, metadata.namespace, metadata.name);
  }

  #take(uid: string, now: number): boolean {
    const events = allowed(this.#allowances.get(uid), now);
    const may = events >= 1;
    this.#allowances.set(uid, { events: may ? events - 1 : events, at: now });
    return may;
  }

  #forgetPast(now: number): void {
    for (const [key, { lastMs }] of this.#series) if (now - lastMs >= SERIES_MS) this.#series.delete(key);
    for (const [uid, allowance] of this.#allowances)
      if (allowed(allowance, now) === BURST) this.#allowances.delete(uid);
  }

  /** After a failure the next event of this kind starts a new series. */
  async #attempt(job: EventSubject, key: string, write: () => Promise<unknown>): Promise<void> {
    try {
      await write();
    } catch (error) {
      this.#series.delete(key);
      this.#log(job).warn({ reason: errorMessage(error) }, 'cannot write an event');
    }
  }

  async #create(job: EventSubject, event: EventRecord, name: string, now: number): Promise<void> {
    const { apiVersion, kind } = RESOURCE.fedbiotJob;
    const { metadata } = job;
    const { namespace, uid, resourceVersion } = metadata;
    await this.#settings.client.json('POST', collectionPath(RESOURCE.event, namespace), {
      body: {
        apiVersion: RESOURCE.event.apiVersion,
        kind: RESOURCE.event.kind,
        metadata: { name, namespace },
        eventTime: microTime(now),
        reportingController: `${GROUP}/operator`,
        reportingInstance: this.#settings.instance.slice(0, 128),
        action: 'Reconcile',
        reason: event.reason.slice(0, MAX_REASON),
        regarding: {
          apiVersion,
          kind,
          name: metadata.name,
          namespace,
          uid,
          ...(resourceVersion === undefined ? {} : { resourceVersion }),
        },
        note: cut(event.message),
        type: event.type,
      },
    });
  }

  async #repeat(job: EventSubject, { name }: Series, count: number, now: number): Promise<void> {
    await this.#settings.client.json('PATCH', objectPath(RESOURCE.event, job.metadata.namespace, name), {
      contentType: MERGE_PATCH,
      body: { series: { count, lastObservedTime: microTime(now) } },
    });
  }
}

/** Events that a job may have now; a job without an entry has the full burst. */
const allowed = (before: Allowance | undefined, now: number): number =>
  before === undefined ? BURST : Math.min(BURST, before.events + (now - before.at) / REFILL_MS);

const nameOf = ({ metadata }: EventSubject): string => `${metadata.name}.${randomBytes(8).toString('hex')}`;

/** Kubernetes' MicroTime, which requires six digits. */
const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');

function cut(message: string): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= MAX_NOTE_BYTES) return message;
  const end = '…';
  // A character that was cut in two decodes as U+FFFD.
  return `${bytes
    .subarray(0, MAX_NOTE_BYTES - Buffer.byteLength(end))
    .toString('utf8')
    .replace(/\ufffd$/, '')}${end}`;
}
