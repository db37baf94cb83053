import { figure, graph } from '../panels.ts';
import { perJob, told } from '../query.ts';
import { CLIENT, SERVER } from './roles.ts';

/** What only a cluster's operator and pods tell. */
export const onTheCluster = [
  figure({
    title: 'Phase',
    description: 'Where the job stands, as kubectl shows it.',
    unit: 'none',
    width: 6,
    height: 4,
    names: true,
    queries: [{ expr: `${perJob('fedbiot_job_phase', { by: ['phase'] })} == 1`, legend: '{{job}}: {{phase}}' }],
  }),
  figure({
    title: 'Server pods replaced',
    description: 'For whatever reason but a suspension. Each successor goes on from the newest checkpoint.',
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
      'Since the pods that run began, by what became of them: answered with an adapter, answered with why there is none (failed), no longer wanted (withdrawn).',
    unit: 'none',
    width: 12,
    height: 4,
    namesBeside: true,
    queries: [
      {
        expr: `sum by (namespace, job, outcome) (${told('fedbiot_client_tasks_total')})`,
        legend: '{{job}} {{outcome}}',
      },
    ],
  }),
  graph({
    title: 'GPUs asked and running',
    description:
      'Asked: by the pods that the job wants. Running: of pods that run. Asked and not running, they wait for a node.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 12,
    height: 8,
    looks: [SERVER, CLIENT, { name: /asked/, dashed: true }],
    queries: [{ expr: perJob('fedbiot_gpus', { by: ['role', 'state'] }), legend: '{{job}} {{role}} {{state}}' }],
  }),
  graph({
    title: 'Waiting in the job’s queues',
    description:
      'Tasks that no client has taken, and results that the server has not. Tasks wait while there are more clients than places for them; results should not.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 12,
    height: 8,
    queries: [{ expr: perJob('fedbiot_queue_jobs', { by: ['queue'] }), legend: '{{job}} {{queue}}' }],
  }),
];
