import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { StepEvent } from '../../crds/facts/events.ts';
import { LAST_PROGRESS } from './job-series.ts';
import { registerSeries } from './series.ts';
import { STEP_BUCKETS } from './server-metrics.ts';

/** The outcome of a task: answered with an adapter, answered with an error, or withdrawn by the server. */
export const TASK_OUTCOMES = ['answered', 'failed', 'withdrawn'] as const;
export type TaskOutcome = (typeof TASK_OUTCOMES)[number];

export interface ClientMetrics {
  readonly registry: Registry;
  /** Records a step when it is computed, whether or not its result is used later. */
  step(step: Pick<StepEvent, 'loss' | 'tokens' | 'ms'>): void;
  /** Records activity without a step. */
  heard(): void;
  task(outcome: TaskOutcome): void;
  /** Records LoRA vectors fetched from the server (down) or submitted to it (up). */
  transferred(direction: 'down' | 'up', bytes: number): void;
  /** Records that the emulator bundle was fetched. */
  bundle(bytes: number): void;
}

/**
 * The metrics of a client pod, all of that pod alone: the series of the job are the server's and the operator's.
 * Counters are 0 from the beginning. `now`: milliseconds since 1970.
 */
export function clientMetrics(
  labels: { readonly namespace: string; readonly job: string },
  now = Date.now,
): ClientMetrics {
  const registry = new Registry();
  registry.setDefaultLabels({ ...labels });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];

  const tokens = new Counter({
    name: 'fedbiot_client_trained_tokens_total',
    help: 'Tokens this pod trained on, including those of results that were never used.',
    registers,
  });
  const seconds = new Histogram({
    name: 'fedbiot_client_step_duration_seconds',
    help: 'Duration of an optimizer step of this pod.',
    buckets: STEP_BUCKETS,
    registers,
  });
  const loss = new Gauge({
    name: 'fedbiot_client_loss',
    help: 'Loss of the last optimizer step of this pod; absent before the first.',
    registers,
  });
  // prom-client begins a gauge without labels at 0, which would be a loss.
  loss.remove();
  const bytes = new Counter({
    name: 'fedbiot_client_delta_bytes_total',
    help: 'Bytes of LoRA vectors that this pod fetched (down) and submitted (up).',
    labelNames: ['direction'],
    registers,
  });
  const tasks = new Counter({
    name: 'fedbiot_client_tasks_total',
    help: 'Tasks that this pod took, by outcome.',
    labelNames: ['outcome'],
    registers,
  });
  const bundleBytes = new Gauge({
    name: 'fedbiot_client_bundle_bytes',
    help: 'Size of the emulator bundle that this pod fetched; 0 before.',
    registers,
  });

  let heardAt: number | null = null;
  registerSeries(registry, [LAST_PROGRESS], [], () => [{ labels: {}, view: { heardAt } }]);

  for (const direction of ['down', 'up']) bytes.inc({ direction }, 0);
  for (const outcome of TASK_OUTCOMES) tasks.inc({ outcome }, 0);

  const heard = () => void (heardAt = now());
  return {
    registry,
    heard,
    step(step) {
      heard();
      tokens.inc(step.tokens);
      seconds.observe(step.ms / 1000);
      loss.set(step.loss);
    },
    task: (outcome) => tasks.inc({ outcome }),
    transferred: (direction, count) => bytes.inc({ direction }, count),
    bundle: (size) => bundleBytes.set(size),
  };
}
