import type { JobPhase } from '../../crds/types.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed } from '../objects/observed.ts';
import type { Standing } from '../objects/outcome.ts';
import { lingering } from './lingering.ts';
import { lostPod } from './lost-pod.ts';
import { hasFinished, isRunning, podsOf } from './observed-job.ts';
import { waitsForQuota } from './quota-standing.ts';
import { countOf } from './role-standing.ts';
import type { RoleStandings } from './role-standing.ts';

export interface PhaseStanding extends Standing {
  readonly phase: JobPhase;
}

/** The phase of a job that has not ended, and why. `blocked`: an obstacle outside the job; null: none. */
export function standingOf(
  job: JobObject,
  observed: Observed,
  { server, client }: RoleStandings,
  blocked: Standing | null,
  now: number,
): PhaseStanding {
  const also = (message: string, more: Pick<Standing, 'message'> | null) =>
    more === null ? message : `${message} ${more.message}`;
  if (job.spec.suspend)
    return { phase: 'Suspended', reason: 'SuspendedBySpec', message: also('spec.suspend is true.', blocked) };
  const held = waitsForQuota(job, observed);
  if (held !== null) return { phase: 'Pending', ...(blocked ?? held) };
  const trouble = blocked ?? server.trouble ?? client.trouble;
  const pods = podsOf(observed.pods, 'server').filter((pod) => lostPod(pod, now) === null);
  if (pods.some(isRunning)) {
    const missing = client.ready < client.wanted ? { message: countOf('client', client) } : null;
    return { phase: 'Running', reason: 'ServerRunning', message: also('The server pod runs.', trouble ?? missing) };
  }
  const [over] = pods.flatMap((pod) => lingering(pod) ?? []);
  if (over !== undefined) return { phase: 'Running', reason: 'WorkerEnded', message: also(over.message, blocked) };
  // Until the Job completes, or its policy decides otherwise.
  if (pods.some(hasFinished))
    return { phase: 'Running', reason: 'ServerFinished', message: 'The server pod has finished.' };
  if (trouble !== null) return { phase: 'Pending', ...trouble };
  const failed = observed.serverJob?.status?.failed ?? 0;
  return failed > 0
    ? { phase: 'Pending', reason: 'Restarting', message: 'The server pod failed and is being replaced.' }
    : { phase: 'Pending', reason: 'Starting', message: 'The pods are being started.' };
}
