import type { Logger } from 'pino';
import { ApiError } from './kube/api-error.ts';
import { jobLog } from './process/log.ts';
import type { OperatorMetrics } from './metrics/operator-metrics.ts';
import type { PlanSettings } from './plan/settings.ts';
import type { WorkQueueSettings } from './queue/work-queue.ts';
import type { ReconcilePorts } from './ports/reconcile-ports.ts';
import { reconcile } from './reconcile/reconcile.ts';

export interface ReconcileKeySettings {
  readonly ports: ReconcilePorts;
  readonly settings: PlanSettings;
  readonly metrics: Pick<OperatorMetrics, 'reconcile'>;
  readonly log: Logger;
}

/** The work of the queue: reconciles the job `namespace/name`. */
export function reconcileKey({
  ports,
  settings,
  metrics,
  log,
}: ReconcileKeySettings): Pick<WorkQueueSettings, 'work' | 'failed'> {
  return {
    async work(key) {
      const [namespace, name] = partsOf(key);
      const { requeueAfterMs, blocked } = await metrics.reconcile(
        () => reconcile(ports, settings, namespace, name),
        (result) => (result.requeueAfterMs === null ? 'success' : 'requeue_after'),
      );
      if (blocked !== null) jobLog(log, namespace, name).warn({ reason: blocked }, 'the job is blocked');
      jobLog(log, namespace, name).debug({ requeueAfterMs }, 'reconciled');
      return requeueAfterMs;
    },
    failed(key, error, retryMs) {
      // The API server's message explains its refusals; any other error may be a defect and needs its stack.
      const why = error instanceof ApiError ? { reason: error.message } : { err: error };
      jobLog(log, ...partsOf(key)).warn({ ...why, retryMs: Math.round(retryMs) }, 'cannot reconcile; will retry');
    },
  };
}

function partsOf(key: string): [namespace: string, name: string] {
  const slash = key.indexOf('/');
  return [key.slice(0, slash), key.slice(slash + 1)];
}
