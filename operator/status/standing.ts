import type { JobPhase } from '../../crds/types.ts';
import { queueOf } from '../objects/labels.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed } from '../objects/observed.ts';
import type { Standing } from '../objects/outcome.ts';
import { lingering } from './lingering.ts';
import { lostPod } from './lost-pod.ts';
import { isRunning, podsOf } from './observed-job.ts';
import { troubleOf } from './trouble.ts';

export interface PhaseStanding extends Standing {
  readonly phase: JobPhase;
}

/** The phase of a job that has not ended, and why. `blocked`: an obstacle outside the job; null: none. */
export function standingOf(job: JobObject, observed: Observed, blocked: Standing | null, now: number): PhaseStanding {
  const also = (message: string, more: Standing | null) => (more === null ? message : `${message} ${more.message}`);
  if (job.spec.suspend)
    return { phase: 'Suspended', reason: 'SuspendedBySpec', message: also('spec.suspend is true.', blocked) };
  const trouble = blocked ?? troubleOf('server', observed, now) ?? troubleOf('client', observed, now);
  const server = podsOf(observed.pods, 'server').filter((pod) => lostPod(pod, now) === null);
  if (server.some(isRunning))
    return { phase: 'Running', reason: 'ServerRunning', message: also('The server pod runs.', trouble) };
  const [over] = server.flatMap((pod) => lingering(pod) ?? []);
  if (over !== undefined) return { phase: 'Running', reason: 'WorkerEnded', message: also(over.message, blocked) };
  // Until the Job completes, or its policy decides otherwise.
  if (server.some(({ status }) => status?.phase === 'Succeeded'))
    return { phase: 'Running', reason: 'ServerFinished', message: 'The server pod has finished.' };
  if (trouble !== null) return { phase: 'Pending', ...trouble };
  const queue = queueOf(job);
  if (queue !== undefined && observed.serverJob?.spec?.suspend === true) {
    return { phase: 'Pending', reason: 'Queued', message: `The job waits to be admitted by queue ${queue}.` };
  }
  const failed = observed.serverJob?.status?.failed ?? 0;
  return failed > 0
    ? { phase: 'Pending', reason: 'Restarting', message: 'The server pod failed and is being replaced.' }
    : { phase: 'Pending', reason: 'Starting', message: 'The pods are being started.' };
}
