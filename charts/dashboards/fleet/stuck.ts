import { table } from '../../panels/panels.ts';
import { perJob } from '../../panels/query.ts';
import { toJob, JOB_LABELS } from './queries.ts';

const inPhase = (phase: string) => perJob('fedbiot_job_phase', { where: `phase="${phase}"` });

export const stuck = [
  table({
    title: 'Longest without progress',
    description:
      'Running jobs, by the time since the server pod last reported progress. A phase of a large model may take long; look at a job after an hour.',
    width: 8,
    height: 8,
    labels: JOB_LABELS,
    sortBy: 'No progress for',
    descending: true,
    link: toJob,
    queries: [
      {
        expr: `topk(20, (time() - ${perJob('fedbiot_last_progress_timestamp_seconds')}) and on (namespace, job) ${inPhase('Running')} == 1)`,
        legend: '',
      },
    ],
    columns: [
      {
        name: 'No progress for',
        unit: 's',
        decimals: 0,
        steps: [
          { value: null, color: 'green' },
          { value: 1800, color: 'yellow' },
          { value: 3600, color: 'red' },
        ],
      },
    ],
  }),
  table({
    title: 'Longest pending',
    description: 'Pending jobs, by the time that they have been pending within the dashboard’s time range.',
    width: 8,
    height: 8,
    labels: JOB_LABELS,
    sortBy: 'Pending for',
    descending: true,
    link: toJob,
    queries: [
      {
        expr: `topk(20, $__range_s * avg_over_time((${inPhase('Pending')})[$__range:]) and on (namespace, job) ${inPhase('Pending')} == 1)`,
        legend: '',
      },
    ],
    columns: [
      {
        name: 'Pending for',
        unit: 's',
        decimals: 0,
        steps: [
          { value: null, color: 'text' },
          { value: 900, color: 'yellow' },
          { value: 1800, color: 'red' },
        ],
      },
    ],
  }),
  table({
    title: 'Failed',
    description: 'Jobs that have failed, with the reason of their condition Failed.',
    width: 8,
    height: 8,
    labels: { ...JOB_LABELS, reason: 'Reason' },
    sortBy: 'Job',
    link: toJob,
    queries: [{ expr: perJob('fedbiot_job_failed', { by: ['reason'] }), legend: '' }],
    columns: [null],
  }),
];
