import type { Logger } from 'pino';
import { errorMessage } from '../../../crds/facts/user-error.ts';
import { finishedProgress, reportedProgress } from '../../report/fold-progress.ts';
import type { RunProgress } from '../../report/fold-progress.ts';
import type { JobProgress } from '../../../crds/facts/progress.ts';
import type { RunReport } from '../../../crds/facts/report.ts';
import { Fenced } from '../../transport/redis/fence.ts';
import { within } from '../../transport/redis/pending.ts';
import type { BundleAnnouncement, RedisProgress } from '../../transport/redis/progress.ts';
import { LatestWriter } from './latest-writer.ts';

/** At most two writes of each kind per second, as many jobs may share a Redis and rounds may be short. */
const PAUSE_MS = 500;

/** Publishes a server pod's progress, reports and bundle to the operator and the clients through Redis. */
export class ProgressPublisher {
  readonly #channel: RedisProgress;
  readonly #memory: NonNullable<JobProgress['memory']>;
  readonly #progress: LatestWriter<RunProgress>;
  readonly #report: LatestWriter<RunReport>;

  /** @param memory bytes that a pod of each role needs at least; reported with each progress */
  constructor(channel: RedisProgress, log: Logger, memory: NonNullable<JobProgress['memory']>) {
    this.#channel = channel;
    this.#memory = memory;
    const failed = (what: string) => (error: unknown) => {
      // The tenure check ends the pod.
      if (!(error instanceof Fenced)) log.warn(`the ${what} could not be written to Redis: ${errorMessage(error)}`);
    };
    this.#progress = new LatestWriter((progress) => this.#write(progress), PAUSE_MS, failed('progress'));
    this.#report = new LatestWriter(
      (report) => channel.writeReport(JSON.stringify(report)),
      PAUSE_MS,
      failed('report'),
    );
  }

  /** Announces the bundle that clients fetch. */
  announce({ sha256, bytes }: BundleAnnouncement): Promise<void> {
    return this.#channel.announceBundle({ sha256, bytes });
  }

  readonly progress = (progress: RunProgress): void => this.#progress.put(progress);

  report(report: RunReport): void {
    this.#report.put(report);
  }

  /** Writes the last values, if Redis accepts them soon. Nothing may be published afterwards. */
  settle(): Promise<void> {
    return within(Promise.all([this.#progress.settle(), this.#report.settle()]));
  }

  /**
   * Marks the job as finished, after its results are on disk, so that clients exit. Waits while Redis is unavailable.
   */
  async finish(progress: RunProgress, report: RunReport & { adapterSha256: string }): Promise<void> {
    await Promise.all([this.#progress.settle(), this.#report.settle()]);
    await this.#channel.writeReport(JSON.stringify(report));
    await this.#write(finishedProgress(progress, report.adapterSha256));
    await this.#channel.markFinished();
  }

  #write(progress: RunProgress): Promise<void> {
    return this.#channel.write({
      ...reportedProgress(progress),
      memory: this.#memory,
      at: new Date().toISOString(),
    });
  }
}
