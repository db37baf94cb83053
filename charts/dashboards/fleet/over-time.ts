import { graph } from '../../panels/panels.ts';
import type { Look } from '../../panels/panels.ts';
import { perJob } from '../../panels/query.ts';
import { JOBS_BY_PHASE, GPUS_BY_STATE } from './queries.ts';

const PHASES: readonly Look[] = [
  { name: /Pending/, color: 'yellow' },
  { name: /Running/, color: 'blue' },
  { name: /Suspended/, color: 'gray' },
  { name: /Succeeded/, color: 'green' },
  { name: /Failed/, color: 'red' },
];

export const overTime = [
  graph({
    title: 'Jobs by phase',
    description: 'Number of jobs in each phase.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    stacked: true,
    looks: PHASES,
    queries: [{ expr: JOBS_BY_PHASE, legend: '{{phase}}' }],
  }),
  graph({
    title: 'GPUs requested and running',
    description: 'The difference between the lines is the number of GPUs that wait for a node.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    looks: [
      { name: /asked/, color: 'gray', dashed: true },
      { name: /running/, color: 'green' },
    ],
    queries: [{ expr: GPUS_BY_STATE, legend: '{{state}}' }],
  }),
  graph({
    title: 'GPUs running by namespace',
    description: 'GPUs of running pods.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    stacked: true,
    queries: [
      {
        expr: `sum by (namespace) (${perJob('fedbiot_gpus', { by: ['role'], where: 'state="running"' })})`,
        legend: '{{namespace}}',
      },
    ],
  }),
  graph({
    title: 'Client dropout',
    description: 'Fraction of the selected clients that dropped out in the current or last round, per job.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    width: 8,
    height: 8,
    queries: [{ expr: perJob('fedbiot_client_dropout_ratio'), legend: '{{namespace}}/{{job}}' }],
  }),
  graph({
    title: 'Refused results',
    description: 'Refused results since the job’s start, for all reasons, per job.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    queries: [
      {
        expr: `sum by (namespace, job) (${perJob('fedbiot_refused_results_total', { by: ['reason'] })})`,
        legend: '{{namespace}}/{{job}}',
      },
    ],
  }),
  graph({
    title: 'Server pods replaced',
    description: 'Replacements of the server pod since the job’s start, per job.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    queries: [{ expr: perJob('fedbiot_job_restarts'), legend: '{{namespace}}/{{job}}' }],
  }),
];
