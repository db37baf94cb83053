import type { JobCondition } from '../../crds/types.ts';
import { printableLines } from '../../crds/facts/printable.ts';
import type { JobObject } from '../objects/job-object.ts';
import { DISRUPTED } from './disruption.ts';

export type ConditionType =
  | 'Ready'
  | 'Reconciling'
  | 'Stalled'
  | 'ServerReady'
  | 'ClientsReady'
  | 'Valid'
  | 'ProgressMirrored'
  | 'RedisIsolated'
  | 'MemorySufficient'
  | 'QuotaReserved'
  | 'Suspended'
  | 'Running'
  | 'Succeeded'
  | 'Failed';

export interface Aspect {
  readonly type: ConditionType;
  readonly holds: boolean;
  readonly reason: string;
  readonly message: string;
}

/** Kubernetes allows 32768 characters in a condition's message, which nobody reads. */
const MESSAGE_LENGTH = 4096;

/** A message for display: text from elsewhere may be long, and contain any characters. */
export function shortened(message: string): string {
  const shown = printableLines(message).trim();
  return shown.length <= MESSAGE_LENGTH ? shown : `${shown.slice(0, MESSAGE_LENGTH - 1)}…`;
}

/**
 * The conditions with these aspects. A transition time changes only with its status. Other conditions are kept, and
 * hold for this generation as well: what may change in a spec does not affect them.
 */
export function withAspects(
  before: readonly JobCondition[],
  aspects: readonly Aspect[],
  now: string,
  observedGeneration: number | undefined,
): JobCondition[] {
  const observed = observedGeneration === undefined ? {} : { observedGeneration };
  const conditions = new Map(before.map((condition) => [condition.type, { ...condition, ...observed }]));
  for (const { type, holds, reason, message } of aspects) {
    const previous = conditions.get(type);
    const status = holds ? 'True' : 'False';
    conditions.set(type, {
      type,
      status,
      reason,
      message: shortened(message),
      lastTransitionTime: previous?.status === status ? previous.lastTransitionTime : now,
      ...observed,
    });
  }
  return [...conditions.values()];
}

/** Reasons for not running that are normal, or that another event reports. */
export const QUIET: ReadonlySet<string> = new Set(['Starting', 'Initializing', 'Restarting', 'Queued', DISRUPTED]);

/** The last known reason why the job did not run; null: it ran, or was starting. */
export function whyNotRunning({ status }: JobObject): string | null {
  const running = status?.conditions?.find(({ type }) => type === 'Running');
  return running?.status === 'False' && !QUIET.has(running.reason) ? running.message : null;
}
