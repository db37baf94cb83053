import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { StepEvent } from '../../crds/facts/events.ts';
import { LAST_PROGRESS } from './job-series.ts';
import { registerSeries } from './series.ts';
import { STEP_BUCKETS } from './server-metrics.ts';

/** What became of a task: answered with an adapter, answered with why there is none, or no longer wanted. */
export const TASK_OUTCOMES = ['answered', 'failed', 'withdrawn'] as const;
export type TaskOutcome = (typeof TASK_OUTCOMES)[number];

export interface ClientMetrics {
  readonly registry: Registry;
  /** Takes a step as it is computed, whatever becomes of its result. */
  step(step: Pick<StepEvent, 'loss' | 'tokens' | 'ms'>): void;
  task(outcome: TaskOutcome): void;
  /** LoRA vectors that came from the server, or went there. */
  transferred(direction: 'down' | 'up', bytes: number): void;
  /** The emulator bundle is there. */
  bundle(bytes: number): void;
}

/**
 * What a client pod tells Prometheus of its job. What is counted stands at 0 from the beginning. `now`: milliseconds
 * since 1970.
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
    name: 'fedbiot_trained_tokens_total',
    help: 'Tokens this pod trained on, those of results that were never used among them.',
    labelNames: ['role'],
    registers,
  });
  const seconds = new Histogram({
    name: 'fedbiot_step_duration_seconds',
    help: 'Time an optimizer step took.',
    labelNames: ['phase'],
    buckets: STEP_BUCKETS,
    registers,
  });
  const loss = new Gauge({
    name: 'fedbiot_loss',
    help: 'Loss of the last step; none before the first.',
    labelNames: ['phase'],
    registers,
  });
  const bytes = new Counter({
    name: 'fedbiot_delta_bytes_total',
    help: 'Bytes of LoRA vectors from (down) and to (up) the server.',
    labelNames: ['direction'],
    registers,
  });
  const tasks = new Counter({
    name: 'fedbiot_tasks_total',
    help: 'Tasks of clients, by what became of them.',
    labelNames: ['outcome'],
    registers,
  });
  const bundleBytes = new Gauge({
    name: 'fedbiot_bundle_bytes',
    help: 'Size of the emulator bundle; 0 until it is there.',
    registers,
  });

  let heardAt: number | null = null;
  registerSeries(registry, [LAST_PROGRESS], [], () => [{ labels: {}, view: { heardAt } }]);

  const phase = 'local';
  const role = 'client';
  tokens.inc({ role }, 0);
  seconds.zero({ phase });
  for (const direction of ['down', 'up']) bytes.inc({ direction }, 0);
  for (const outcome of TASK_OUTCOMES) tasks.inc({ outcome }, 0);

  return {
    registry,
    step(step) {
      heardAt = now();
      tokens.inc({ role }, step.tokens);
      seconds.observe({ phase }, step.ms / 1000);
      loss.set({ phase }, step.loss);
    },
    task: (outcome) => tasks.inc({ outcome }),
    transferred: (direction, count) => bytes.inc({ direction }, count),
    bundle: (size) => bundleBytes.set(size),
  };
}
