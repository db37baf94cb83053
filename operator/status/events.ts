import type { FedBiOTJobStatus, JobCondition } from '../../crds/types.ts';
import type { EventRecord } from '../objects/event.ts';
import { causeOf } from './cause.ts';
import { QUIET } from './conditions.ts';
import { DISRUPTED } from './disruption.ts';
import type { PodEnd } from './failure.ts';

/** The events of a change from one status to the next. `lastEnd`: why the last failed server pod failed. */
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
  // Why a job does not run matters only while it should run; later its end or suspension is reported.
  const recorded =
    phase === 'Pending' || phase === 'Running'
      ? [
          'QuotaReserved',
          'Running',
          'ServerReady',
          'ClientsReady',
          'Suspended',
          'ProgressMirrored',
          'RedisIsolated',
          'MemorySufficient',
        ]
      : ['Suspended', 'Succeeded', 'Failed', 'ProgressMirrored'];
  for (const condition of (after.conditions ?? []).filter(({ type }) => recorded.includes(type))) {
    const event = transition(
      before.conditions?.find(({ type }) => type === condition.type),
      condition,
    );
    // What keeps the server pod from being ready keeps the job from running.
    if (event !== null && !events.some(({ message }) => message === event.message)) events.push(event);
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
    case 'MemorySufficient':
      return turned && status === 'False' ? { type: 'Warning', reason, message } : null;
    case 'QuotaReserved':
      if (status === 'False') return null;
      if (turned) return { type: 'Normal', reason, message };
      // Labels that change back cause no event.
      return before.reason === reason || reason === type ? null : { type: 'Warning', reason, message };
    case 'Running':
      if (status === 'True') return turned ? { type: 'Normal', reason: 'Running', message } : null;
      return newTrouble(before, after);
    case 'ServerReady':
    case 'ClientsReady':
      return status === 'True' ? null : newTrouble(before, after);
    default:
      return null;
  }
}

/** The event of a condition that is False for another cause than before. */
function newTrouble(before: JobCondition | undefined, after: JobCondition): EventRecord | null {
  const { type, reason, message } = after;
  const isKnown = before?.status === 'False' && causeOf(before) === causeOf(after);
  if (isKnown) return null;
  if (reason === DISRUPTED && type !== 'Running') return { type: 'Normal', reason, message };
  return QUIET.has(reason) ? null : { type: 'Warning', reason, message };
}
