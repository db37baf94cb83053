import type { Registry } from 'prom-client';
import type { FedBiOTJob, JobPhase } from '../../crds/types.ts';
import { foldProgress, initialProgress } from '../report/fold-progress.ts';
import type { RunProgress } from '../report/fold-progress.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import { isRunEvent } from '../report/display-state.ts';
import type { LiveEvent } from '../report/display-state.ts';
import { factsOf, IDENTITY_SERIES } from './job-series.ts';
import { serveMetrics } from './metrics-server.ts';
import type { MetricsServer } from './metrics-server.ts';
import { registerSeries } from './series.ts';
import { serverMetrics } from './server-metrics.ts';

export interface RunMetrics {
  /** URL of the metrics. */
  readonly url: string;
  /** Takes the earlier events of a resumed run. */
  recall(events: readonly RunEvent[]): void;
  hear(event: LiveEvent): void;
  close(): Promise<void>;
}

const PHASES = { succeeded: 'Succeeded', failed: 'Failed', interrupted: 'Suspended' } as const satisfies Record<
  string,
  JobPhase
>;

/**
 * Serves the metrics of a run whose server and clients are this process: those of a server pod, and those that the
 * operator exports for the job.
 * @param at port 0: a free one
 * @throws UserError when it cannot listen there
 */
export async function serveRunMetrics(
  { metadata, spec }: FedBiOTJob,
  at: { readonly host: string; readonly port: number },
): Promise<RunMetrics> {
  const labels = { namespace: metadata.namespace ?? 'default', job: metadata.name };
  const { federation, method, evaluation } = spec;
  const facts = {
    rounds: federation.rounds,
    clientsPerRound: federation.clientsPerRound,
    localSteps: federation.local.steps,
  };
  const metrics = serverMetrics(labels, factsOf(spec));
  let phase: JobPhase = 'Pending';
  registerSeries(metrics.registry, IDENTITY_SERIES, Object.keys(labels), () => [
    { labels, view: { method, task: evaluation.task, phase } },
  ]);
  let progress: RunProgress = initialProgress(facts);

  const server = await listen(metrics.registry, at);
  return {
    url: `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${server.port}/metrics`,
    recall(events) {
      progress = events.reduce((before, event) => foldProgress(before, event, facts), initialProgress(facts));
      metrics.recall(events, progress);
    },
    hear(event) {
      // A client's step counts once its result is accepted, and is emitted again then.
      if (!isRunEvent(event)) return metrics.heard();
      progress = foldProgress(progress, event, facts);
      if (event.event === 'run') phase = 'Running';
      if (event.event === 'end') phase = PHASES[event.outcome];
      metrics.observe(event, progress);
    },
    close: () => server.close(),
  };
}

async function listen(
  registry: Registry,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<MetricsServer> {
  try {
    return await serveMetrics(registry, { host, port, isReady: () => true });
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    const isTaken = 'code' in error && error.code === 'EADDRINUSE';
    throw new UserError(
      `metrics cannot be served on port ${port} of ${host}: ${isTaken ? 'it is taken' : error.message}`,
      {
        hint: isTaken
          ? 'Give another --metrics-port, or 0 for a free one.'
          : 'Check --metrics-host and --metrics-port.',
        cause: error,
      },
    );
  }
}
