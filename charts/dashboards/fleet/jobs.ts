import { table } from '../../panels/panels.ts';
import { accuracyOf, perJob } from '../../panels/query.ts';
import { toJob, JOB_LABELS } from './queries.ts';

export const jobs = [
  table({
    title: 'Jobs',
    description:
      'Every job: its phase and round, and the accuracy of the base model, of emulator + adapter (AdapEmu) and of full model + adapter (AdapFu) in its last evaluation. The job column links to the job’s dashboard.',
    width: 24,
    height: 9,
    labels: { ...JOB_LABELS, method: 'Method', task: 'Task', phase: 'Phase' },
    sortBy: 'Job',
    link: toJob,
    queries: [
      { expr: perJob('fedbiot_job_info', { by: ['method', 'task'] }), legend: '' },
      { expr: `${perJob('fedbiot_job_phase', { by: ['phase'] })} == 1`, legend: '' },
      { expr: perJob('fedbiot_round'), legend: '' },
      { expr: perJob('fedbiot_rounds'), legend: '' },
      { expr: accuracyOf('base'), legend: '' },
      { expr: accuracyOf('adap_emu'), legend: '' },
      { expr: accuracyOf('adap_fu'), legend: '' },
      { expr: perJob('fedbiot_alignment_gap'), legend: '' },
      { expr: perJob('fedbiot_client_dropout_ratio'), legend: '' },
      { expr: `sum by (namespace, job) (${perJob('fedbiot_refused_results_total', { by: ['reason'] })})`, legend: '' },
    ],
    columns: [
      null,
      null,
      { name: 'Round', unit: 'none' },
      { name: 'of', unit: 'none' },
      { name: 'Base', unit: 'percentunit', decimals: 1 },
      { name: 'AdapEmu', unit: 'percentunit', decimals: 1 },
      { name: 'AdapFu', unit: 'percentunit', decimals: 1 },
      { name: 'Gap (nats)', unit: 'none', decimals: 3 },
      { name: 'Client dropout', unit: 'percentunit', decimals: 0 },
      { name: 'Refused', unit: 'none' },
    ],
  }),
];
