import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import type { RunProgress } from '../report/fold-progress.ts';
import type { RunEvent, StepEvent } from '../../crds/facts/events.ts';
import { PHASES } from '../../crds/facts/events.ts';
import { lastFigures } from '../../crds/facts/round-figures.ts';
import { COST_SERIES } from './cost-series.ts';
import { STANDING_SERIES, unheard } from './job-series.ts';
import type { JobFacts, JobStanding } from './job-series.ts';
import { registerSeries } from './series.ts';

/** In seconds, for steps of the smallest model up to those of minutes. */
export const STEP_BUCKETS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];
const PHASE_BUCKETS = [1, 3, 10, 30, 100, 300, 1000, 3600, 4 * 3600, 24 * 3600];

export interface ServerMetrics {
  readonly registry: Registry;
  /**
   * Takes the events from before this process, and the progress after them, so that counters continue from their
   * values.
   */
  recall(events: readonly RunEvent[], progress: RunProgress): void;
  /** Takes an event as it happens, and the progress after it. */
  observe(event: RunEvent, progress: RunProgress): void;
  /** Records activity that has no event. */
  heard(): void;
}

/** The metrics of the server's side of a run. `now`: milliseconds since 1970. */
export function serverMetrics(
  labels: { readonly namespace: string; readonly job: string },
  facts: JobFacts,
  now = Date.now,
): ServerMetrics {
  const registry = new Registry();
  registry.setDefaultLabels({ ...labels });
  collectDefaultMetrics({ register: registry });
  let standing: ServerStanding = { ...unheard(facts), ...UNCOUNTED };
  registerSeries(registry, [...STANDING_SERIES, ...COST_SERIES], Object.keys(labels), () => [
    { labels: { ...labels }, view: standing },
  ]);

  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name, help, labelNames: ['phase'], buckets, registers: [registry] });
  const roundSeconds = histogram('fedbiot_round_duration_seconds', 'Duration of the phases of a round.', PHASE_BUCKETS);
  const stepSeconds = histogram('fedbiot_step_duration_seconds', 'Duration of an optimizer step.', STEP_BUCKETS);
  for (const phase of PHASES) roundSeconds.zero({ phase });
  for (const phase of ['align', 'local']) stepSeconds.zero({ phase });

  return {
    registry,
    recall(events, progress) {
      standing = events.reduce(counted, { ...standing, ...toldBy(progress), ...UNCOUNTED });
    },
    observe(event, progress) {
      standing = { ...counted(standing, event), ...toldBy(progress), heardAt: now() };
      if (event.event === 'step') stepSeconds.observe({ phase: event.phase }, event.ms / 1000);
      if (event.event === 'round') for (const phase of PHASES) roundSeconds.observe({ phase }, event.seconds[phase]);
    },
    heard() {
      standing = { ...standing, heardAt: now() };
    },
  };
}

/** The server sees each step and round, so it always knows these counts. */
interface ServerStanding extends JobStanding {
  readonly tokens: NonNullable<JobStanding['tokens']>;
  readonly bytes: NonNullable<JobStanding['bytes']>;
}

const UNCOUNTED = { tokens: { server: 0, client: 0 }, bytes: { down: 0, up: 0 } } as const;

function toldBy(progress: RunProgress) {
  const { finishedRounds, clients, refusals, evaluation, cost } = progress;
  return { finishedRounds, clients, refusals, ...lastFigures(progress), evaluation, cost };
}

/** The standing with what an event adds and the progress does not contain. */
function counted(standing: ServerStanding, event: RunEvent): ServerStanding {
  const { tokens, bytes } = standing;
  switch (event.event) {
    case 'run': {
      const { dropped, emulator } = event.plan.layers;
      return { ...standing, layerDropRate: dropped.length / Math.max(1, dropped.length + emulator.length) };
    }
    case 'step': {
      const role = roleOf(event);
      return { ...standing, tokens: { ...tokens, [role]: tokens[role] + event.tokens } };
    }
    case 'round':
      return { ...standing, bytes: { down: bytes.down + event.bytes.down, up: bytes.up + event.bytes.up } };
    default:
      return standing;
  }
}

const roleOf = ({ phase }: StepEvent) => (phase === 'align' ? 'server' : 'client');
