import type { Logger } from 'pino';
import { errorMessage } from '../../../crds/facts/user-error.ts';
import { finishedProgress, toldProgress } from '../../report/fold-progress.ts';
import type { RunProgress } from '../../report/fold-progress.ts';
import type { RunReport } from '../../../crds/facts/report.ts';
import { Fenced } from '../../transport/redis/fence.ts';
import { within } from '../../transport/redis/pending.ts';
import type { BundleAnnouncement, RedisProgress } from '../../transport/redis/progress.ts';
import { Feed } from './feed.ts';

/** At most two writes of each a second, however many jobs share a Redis and however short their rounds are. */
const PAUSE_MS = 500;

/** What a server pod tells the operator and the clients through Redis. */
export class Bulletin {
  readonly #channel: RedisProgress;
  readonly #progress: Feed<RunProgress>;
  readonly #report: Feed<RunReport>;

  constructor(channel: RedisProgress, log: Logger) {
    this.#channel = channel;
    const failed = (what: string) => (error: unknown) => {
      // Whoever watches the fence ends the pod.
      if (!(error instanceof Fenced)) log.warn(`Redis does not take the ${what}: ${errorMessage(error)}`);
    };
    this.#progress = new Feed((progress) => this.#tell(progress), PAUSE_MS, failed('progress'));
    this.#report = new Feed((report) => channel.writeReport(JSON.stringify(report)), PAUSE_MS, failed('report'));
  }

  /** Where clients' bundle is to be had. */
  announce({ sha256, bytes }: BundleAnnouncement): Promise<void> {
    return this.#channel.announceBundle({ sha256, bytes });
  }

  readonly progress = (progress: RunProgress): void => this.#progress.tell(progress);

  report(report: RunReport): void {
    this.#report.tell(report);
  }

  /** Writes what was told last, if Redis takes it soon. Nothing may be told after it. */
  settle(): Promise<void> {
    return within(Promise.all([this.#progress.settle(), this.#report.settle()]));
  }

  /** The job is over, and what came of it is on the disk: clients may leave. Waits for a Redis that is away. */
  async finish(progress: RunProgress, report: RunReport & { adapterSha256: string }): Promise<void> {
    await Promise.all([this.#progress.settle(), this.#report.settle()]);
    await this.#channel.writeReport(JSON.stringify(report));
    await this.#tell(finishedProgress(progress, report.adapterSha256));
    await this.#channel.markFinished();
  }

  #tell(progress: RunProgress): Promise<void> {
    return this.#channel.write({ ...toldProgress(progress), at: new Date().toISOString() });
  }
}
