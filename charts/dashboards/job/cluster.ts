import { figure, graph } from '../../panels/panels.ts';
import { perJob, chosenSeries } from '../../panels/query.ts';
import { CLIENT, SERVER } from './roles.ts';

/** Panels whose series only exist on a cluster. */
export const onTheCluster = [
  figure({
    title: 'Phase',
    description: 'Phase of the job, as kubectl shows it.',
    unit: 'none',
    width: 6,
    height: 4,
    names: true,
    queries: [{ expr: `${perJob('fedbiot_job_phase', { by: ['phase'] })} == 1`, legend: '{{job}}: {{phase}}' }],
  }),
  figure({
    title: 'Server pods replaced',
    description: 'Replacements for any reason except suspension. Each successor resumes from the newest checkpoint.',
    unit: 'none',
    width: 6,
    height: 4,
    steps: [
      { value: null, color: 'green' },
      { value: 1, color: 'yellow' },
      { value: 3, color: 'red' },
    ],
    queries: [{ expr: perJob('fedbiot_job_restarts'), legend: '{{job}}' }],
  }),
  figure({
    title: 'Tasks of client pods',
    description:
      'Tasks since the running pods started, by outcome: answered with an adapter, answered with an error (failed), or cancelled by the server (withdrawn).',
    unit: 'none',
    width: 12,
    height: 4,
    namesBeside: true,
    queries: [
      {
        expr: `sum by (namespace, job, outcome) (${chosenSeries('fedbiot_client_tasks_total')})`,
        legend: '{{job}} {{outcome}}',
      },
    ],
  }),
  graph({
    title: 'GPUs requested and running',
    description:
      'Asked: requested by the job’s pods. Running: held by running pods. The difference is the number of GPUs that wait for a node.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 12,
    height: 8,
    looks: [SERVER, CLIENT, { name: /asked/, dashed: true }],
    queries: [{ expr: perJob('fedbiot_gpus', { by: ['role', 'state'] }), legend: '{{job}} {{role}} {{state}}' }],
  }),
  graph({
    title: 'Queue lengths',
    description:
      'Tasks that no client has taken, and results that the server has not read. Tasks queue up while there are more clients than client pods; results should not queue up.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 12,
    height: 8,
    queries: [{ expr: perJob('fedbiot_queue_jobs', { by: ['queue'] }), legend: '{{job}} {{queue}}' }],
  }),
];
