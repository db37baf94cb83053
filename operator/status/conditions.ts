import type { JobCondition } from '../../crds/types.ts';
import { printableLines } from '../../crds/facts/printable.ts';

export type ConditionType =
  'Valid' | 'ProgressMirrored' | 'RedisIsolated' | 'Suspended' | 'Running' | 'Succeeded' | 'Failed';

export interface Aspect {
  readonly type: ConditionType;
  readonly holds: boolean;
  readonly reason: string;
  readonly message: string;
}

/** The limit of a condition's message is 32768 characters; a screen's is less. */
const MESSAGE_LENGTH = 4096;

/** A message as it is shown: text from others may be long, and contain anything. */
export function shortened(message: string): string {
  const shown = printableLines(message).trim();
  return shown.length <= MESSAGE_LENGTH ? shown : `${shown.slice(0, MESSAGE_LENGTH - 1)}…`;
}

/**
 * The conditions with these aspects; the time of a transition stays while the status does, and other conditions stay as
 * they are.
 */
export function withAspects(
  before: readonly JobCondition[],
  aspects: readonly Aspect[],
  now: string,
  observedGeneration: number | undefined,
): JobCondition[] {
  const conditions = new Map(before.map((condition) => [condition.type, condition]));
  for (const { type, holds, reason, message } of aspects) {
    const previous = conditions.get(type);
    const status = holds ? 'True' : 'False';
    conditions.set(type, {
      type,
      status,
      reason,
      message: shortened(message),
      lastTransitionTime: previous?.status === status ? previous.lastTransitionTime : now,
      ...(observedGeneration === undefined ? {} : { observedGeneration }),
    });
  }
  return [...conditions.values()];
}
