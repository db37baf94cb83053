import type { Registry } from 'prom-client';
import type { JobProgress } from '../../crds/facts/progress.ts';
import { COST_SERIES } from '../../worker/metrics/cost-series.ts';
import { IDENTITY_SERIES, STANDING_SERIES } from '../../worker/metrics/job-series.ts';
import { one, registerSeries, viewedAs } from '../../worker/metrics/series.ts';
import type { Series } from '../../worker/metrics/series.ts';
import { gpusOf } from '../plan/gpu.ts';
import { ROLES } from '../../crds/facts/role.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { ObservedPod } from '../objects/observed.ts';
import { isRunning, podsOf } from '../status/observed-job.ts';
import { identityOf, standingOf } from './job-standing.ts';

/** A job, the last progress that its server pod reported, and its pods. */
export interface JobView {
  readonly job: JobObject;
  readonly progress: JobProgress | null;
  readonly pods: readonly ObservedPod[];
}

/** Series of a job that only the operator exports. */
const OPERATOR_SERIES: readonly Series<JobView>[] = [
  {
    name: 'fedbiot_job_failed',
    help: '1 once the job has failed, with the reason of its condition Failed.',
    kind: 'gauge',
    labels: ['reason'],
    samples({ job: { status } }) {
      const failed = status?.conditions?.find(({ type, status: holds }) => type === 'Failed' && holds === 'True');
      return failed === undefined ? [] : [{ labels: { reason: failed.reason }, value: 1 }];
    },
  },
  {
    name: 'fedbiot_job_queued',
    help: '1 while the job waits for the quota of its queue, with the reason of its condition QuotaReserved.',
    kind: 'gauge',
    labels: ['reason'],
    samples({ job }) {
      const reserved = job.status?.conditions?.find(({ type }) => type === 'QuotaReserved');
      return isWanted(job) && reserved?.status === 'False' ? [{ labels: { reason: reserved.reason }, value: 1 }] : [];
    },
  },
  {
    name: 'fedbiot_job_restarts',
    help: 'How often the server pod failed and was replaced.',
    kind: 'gauge',
    labels: [],
    samples: ({ job }) => one(job.status?.restarts ?? 0),
  },
  {
    name: 'fedbiot_gpus',
    help: 'GPUs of a role. asked: requested by all its pods, 0 while the job is suspended and after its end; running: allocated to running pods.',
    kind: 'gauge',
    labels: ['role', 'state'],
    samples: ({ job, pods }) =>
      ROLES.flatMap((role) => {
        const each = gpusOf(job, role);
        return [
          {
            labels: { role, state: 'asked' },
            value: isWanted(job) ? each * (role === 'server' ? 1 : job.spec.client.pods) : 0,
          },
          { labels: { role, state: 'running' }, value: each * podsOf(pods, role).filter(isRunning).length },
        ];
      }),
  },
];

const isWanted = ({ spec, status }: JobObject): boolean =>
  !spec.suspend && status?.phase !== 'Succeeded' && status?.phase !== 'Failed';

/** Registers the series of all jobs. `views` is called at each scrape, so a deleted job's series disappear. */
export function jobMetrics(registry: Registry, views: () => Iterable<JobView>): void {
  const series: readonly Series<JobView>[] = [
    ...viewedAs(IDENTITY_SERIES, ({ job }: JobView) => identityOf(job)),
    ...viewedAs([...STANDING_SERIES, ...COST_SERIES], ({ job, progress }: JobView) => standingOf(job, progress)),
    ...OPERATOR_SERIES,
  ];
  registerSeries(registry, series, ['namespace', 'job'], () => Array.from(views(), labelled));
}

function labelled(view: JobView) {
  const { namespace, name: job } = view.job.metadata;
  return { labels: { namespace, job }, view };
}
