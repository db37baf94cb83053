import type { FedBiOTJobStatus, JobCondition } from '../../crds/types.ts';
import type { EventRecord } from '../objects/event.ts';
import type { PodEnd } from './failure.ts';

/**
 * What has come about between two statuses, for those who read `kubectl describe`. `lastEnd`: why the last failed
 * server pod did.
 */
export function eventsBetween(
  before: FedBiOTJobStatus,
  after: FedBiOTJobStatus,
  lastEnd: PodEnd | null,
): EventRecord[] {
  const events: EventRecord[] = [];
  if ((after.restarts ?? 0) > (before.restarts ?? 0) && after.phase !== 'Failed') {
    const why = lastEnd === null ? '' : `: ${lastEnd.message}`;
    events.push({ type: 'Warning', reason: 'ServerRestarted', message: `The server pod failed and is replaced${why}` });
  }
  const { phase } = after;
  // Why a job does not run is news only while it should: its end or its suspension tells the rest.
  const told =
    phase === 'Pending' || phase === 'Running'
      ? ['Running', 'Suspended', 'ProgressMirrored', 'RedisIsolated']
      : ['Suspended', 'Succeeded', 'Failed', 'ProgressMirrored'];
  for (const condition of (after.conditions ?? []).filter(({ type }) => told.includes(type))) {
    const event = transition(
      before.conditions?.find(({ type }) => type === condition.type),
      condition,
    );
    if (event !== null) events.push(event);
  }
  return events;
}

function transition(before: JobCondition | undefined, after: JobCondition): EventRecord | null {
  const { type, status, reason, message } = after;
  const turned = before?.status !== status;
  switch (type) {
    case 'Failed':
      return turned && status === 'True' ? { type: 'Warning', reason, message } : null;
    case 'Succeeded':
      return turned && status === 'True' ? { type: 'Normal', reason: 'Succeeded', message } : null;
    case 'Suspended':
      return turned ? { type: 'Normal', reason: status === 'True' ? 'Suspended' : 'Resumed', message } : null;
    case 'ProgressMirrored':
    case 'RedisIsolated':
      return turned && status === 'False' ? { type: 'Warning', reason, message } : null;
    case 'Running':
      if (status === 'True') return turned ? { type: 'Normal', reason: 'Running', message } : null;
      // Told once a reason: the scheduler's words change with every node it looks at.
      return before?.reason === reason || QUIET.has(reason) ? null : { type: 'Warning', reason, message };
    default:
      return null;
  }
}

/** Reasons for not running that are part of an ordinary life, or that another event tells. */
export const QUIET: ReadonlySet<string> = new Set(['Starting', 'Initializing', 'Restarting', 'Queued']);
