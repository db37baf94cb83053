import { Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import type { QueueLengths } from '../transport/redis/queue-lengths.ts';

/** Timeout of a scrape's request to Redis. */
const PATIENCE_MS = 1_000;

/**
 * Exports the lengths of the job's queues, read at each scrape. Without an answer there is no series, and while a
 * request is pending no other is sent: a Redis that hangs gets one.
 */
export function queueMetric(
  registry: Registry,
  labels: Readonly<Record<string, string>>,
  ask: () => Promise<QueueLengths | null>,
  patienceMs = PATIENCE_MS,
): void {
  let asked: Promise<QueueLengths | null> | null = null;
  const answer = () =>
    (asked ??= ask()
      .catch(() => null)
      .finally(() => (asked = null)));
  new Gauge({
    name: 'fedbiot_queue_jobs',
    help: "Tasks waiting for a client pod and results waiting for the server, in the job's queues.",
    labelNames: [...Object.keys(labels), 'queue'],
    registers: [registry],
    async collect() {
      const lengths = await inTime(answer(), patienceMs);
      this.reset();
      if (lengths === null) return;
      for (const [queue, length] of Object.entries(lengths)) this.set({ ...labels, queue }, length);
    },
  });
}

async function inTime<T>(answer: Promise<T | null>, patienceMs: number): Promise<T | null> {
  const timer = Promise.withResolvers<null>();
  const timeout = setTimeout(() => timer.resolve(null), patienceMs);
  try {
    return await Promise.race([answer, timer.promise]);
  } finally {
    clearTimeout(timeout);
  }
}
