import { conditionOf } from '../objects/observed-object.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Observed, ObservedOwned } from '../objects/observed.ts';
import { titleOf } from '../objects/owned-objects.ts';
import type { Standing } from '../objects/outcome.ts';
import { RESOURCE } from '../objects/resources.ts';
import { assignedToStart, hasQuota, priorityClassOf, queueOf } from '../objects/workload.ts';
import { isQueued, mustWait } from '../plan/quota.ts';
import { reported } from './waiting.ts';

/** Why Kueue cannot be asked for quota, or pods cannot start with what it has assigned; null: they can, or need not. */
export function waitsForKueue(job: JobObject, observed: Observed): Standing | null {
  if (job.spec.suspend) return null;
  return observed.workload === null ? cannotAsk(job, observed) : wrongAdmission(job, observed);
}

function cannotAsk(job: JobObject, { serverJob, clientsJob, kueue }: Observed): Standing | null {
  if (serverJob !== null || clientsJob !== null) return null;
  const queue = queueOf(job);
  if (queue === undefined) return null;
  if (!kueue.isServed) {
    const message = `The job waits in queue ${queue}, but the cluster serves no ${RESOURCE.workload.apiVersion} of Kueue. Install Kueue 0.15 or newer, or remove the label kueue.x-k8s.io/queue-name.`;
    return { reason: 'KueueMissing', message };
  }
  const asked = priorityClassOf(job);
  if (asked === null || kueue.priority !== null) return null;
  return { reason: 'PriorityClassMissing', message: `There is no ${asked.kind} ${asked.name}.` };
}

/** Others than Kueue may write a Workload's status, and flavors may be deleted after an admission. */
function wrongAdmission(job: JobObject, observed: Observed): Standing | null {
  const title = titleOf('workload', job.metadata.name);
  for (const { name, flavors = {}, count } of assignedToStart(observed)) {
    const missing = Object.values(flavors).find((flavor) => !observed.kueue.flavors.has(flavor));
    if (missing !== undefined) {
      const message = `its pods of pod set ${name} are admitted on ResourceFlavor ${missing}, which does not exist or cannot be read.`;
      return reported(title, 'FlavorMissing', message);
    }
    const { pods, minPods = pods } = job.spec.client;
    const [least, most] = name === 'client' ? [minPods, pods] : [1, 1];
    if (count !== undefined && (count < least || count > most)) {
      const message = `${count} pods of pod set ${name} are admitted, but the job asks for ${least} to ${most}.`;
      return reported(title, 'AdmissionInvalid', message);
    }
  }
  return null;
}

/** Why Kueue does not let the job have pods, in its words; null: it does, or the job is in no queue. */
export function waitsForQuota(job: JobObject, observed: Observed): Standing | null {
  const { workload, serverJob, clientsJob } = observed;
  if (!mustWait(job, observed)) return isQueued(job, observed) ? suspendedByKueue(observed) : null;
  const queue = queueOf(job) ?? workload?.spec?.queueName ?? '';
  if (workload === null) return { reason: 'Queued', message: `The job enters queue ${queue}.` };
  const evicted = conditionOf(workload, 'Evicted');
  const isStopping = hasQuota(workload) || serverJob !== null || clientsJob !== null;
  const title = titleOf('workload', job.metadata.name);
  if (evicted !== null && (isStopping || workload.spec?.active === false)) {
    const again = workload.spec?.active === false ? ' It is queued again when its spec.active is true.' : '';
    return reported(title, evicted.reason ?? 'Evicted', `${evicted.message ?? 'evicted'}.${again}`);
  }
  return { reason: 'Queued', message: `The job waits in queue ${queue}. ${wordsOf(workload)}`.trim() };
}

/** What Kueue says of a Workload that is not admitted. */
function wordsOf(workload: ObservedOwned): string {
  const { conditions = [], admissionChecks = [] } = workload.status ?? {};
  const reserved = conditions.find(({ type }) => type === 'QuotaReserved');
  const checks = admissionChecks
    .filter(({ state }) => state !== 'Ready')
    .map(
      ({ name, state, message = '' }) => `Admission check ${name} is ${state}${message === '' ? '' : `: ${message}`}.`,
    );
  return [reserved?.message ?? '', ...checks].filter((words) => words !== '').join(' ');
}

/** Kueue also manages the Jobs of an admitted job if it does not know that they belong to one. */
function suspendedByKueue({ serverJob, clientsJob }: Observed): Standing | null {
  const suspended = [serverJob, clientsJob].find(
    (job) => job?.spec?.suspend === true && job.metadata.deletionTimestamp === undefined,
  );
  if (suspended === undefined || suspended === null) return null;
  return reported(
    `Job ${suspended.metadata.name}`,
    'SuspendedByAnother',
    'is suspended, and not by the operator. If Kueue manages all Jobs of the namespace, or a LocalQueue is named default, add FedBiOTJob.v1alpha1.fedbiot.io to integrations.externalFrameworks in the configuration of Kueue.',
  );
}
