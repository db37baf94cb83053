import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { dashboardBuilder, finished } from './dashboard.ts';
import { figure, graph, table } from './panels.ts';
import type { Look } from './panels.ts';
import { accuracyOf, clientTokenRate, perJob, ratePerJob } from './query.ts';
import { job, namespaceOfJobs } from './variables.ts';

const PHASES: readonly Look[] = [
  { name: /Pending/, color: 'yellow' },
  { name: /Running/, color: 'blue' },
  { name: /Suspended/, color: 'gray' },
  { name: /Succeeded/, color: 'green' },
  { name: /Failed/, color: 'red' },
];

const inPhase = (phase: string) => perJob('fedbiot_job_phase', { where: `phase="${phase}"` });
const JOBS_BY_PHASE = `sum by (phase) (${perJob('fedbiot_job_phase', { by: ['phase'] })})`;
const GPUS_BY_STATE = `sum by (state) (${perJob('fedbiot_gpus', { by: ['role', 'state'] })})`;

/** To the dashboard of the row's job. */
const TO_JOB =
  '/d/fedbiot-job?var-datasource=${datasource}&var-namespace=${__data.fields.Namespace}&var-job=${__data.fields.Job}&${__url_time_range}';
const toJob = { column: 'Job', title: 'The job’s dashboard', url: TO_JOB };
const JOB_LABELS = { namespace: 'Namespace', job: 'Job' };

const atAGlance = [
  figure({
    title: 'Jobs by phase',
    description: 'Jobs that there are now. Those that have ended stay until they are deleted.',
    unit: 'none',
    width: 10,
    height: 4,
    namesBeside: true,
    queries: [{ expr: JOBS_BY_PHASE, legend: '{{phase}}' }],
  }),
  figure({
    title: 'GPUs',
    description: 'Asked: by the pods that unfinished jobs want. Running: of pods that run.',
    unit: 'none',
    width: 6,
    height: 4,
    namesBeside: true,
    queries: [{ expr: GPUS_BY_STATE, legend: '{{state}}' }],
  }),
  figure({
    title: 'Alerts firing',
    description: 'Of the rules that come with FedBiOT, where Prometheus has them.',
    unit: 'none',
    width: 4,
    height: 4,
    steps: [
      { value: null, color: 'green' },
      { value: 1, color: 'red' },
    ],
    queries: [{ expr: 'count(ALERTS{alertname=~"FedBiOT.+", alertstate="firing"}) or vector(0)', legend: '' }],
  }),
  figure({
    title: 'Tokens trained',
    description: 'A second, of all jobs: in alignment and by clients.',
    unit: 'short',
    width: 4,
    height: 4,
    history: true,
    queries: [
      {
        expr: `sum(${ratePerJob('fedbiot_trained_tokens_total', { where: 'role="server"' })}) + sum(${clientTokenRate()})`,
        legend: 'tokens/s',
      },
    ],
  }),
];

const jobs = [
  table({
    title: 'Jobs',
    description:
      'Every job: where it stands, and the accuracy of the base model, of emulator + adapter (AdapEmu) and of full model + adapter (AdapFu) in its last evaluation. A job leads to its own dashboard.',
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

const stuck = [
  table({
    title: 'Longest without progress',
    description:
      'Running jobs, by the time since their server pod last told of progress. A phase of a large model may take long; an hour is worth a look.',
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
    description: 'Jobs whose pods are not there, by how long they have waited within the time shown.',
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

const overTime = [
  graph({
    title: 'Jobs by phase',
    description: 'How many jobs were in each phase.',
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
    title: 'GPUs asked and running',
    description: 'The distance between the lines waits for a node.',
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
    description: 'Of pods that run.',
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
    description: 'Of each job’s round under way or the last: dropped clients over those drawn.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    width: 8,
    height: 8,
    queries: [{ expr: perJob('fedbiot_client_dropout_ratio'), legend: '{{namespace}}/{{job}}' }],
  }),
  graph({
    title: 'Refused results',
    description: 'Of each job, since it began, whatever the reason.',
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
    description: 'Of each job, since it began.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    queries: [{ expr: perJob('fedbiot_job_restarts'), legend: '{{namespace}}/{{job}}' }],
  }),
];

const cost = [
  table({
    title: 'Cost and savings by namespace',
    description:
      'Of the jobs that there are: what they have used, what they have moved between server and clients, and what the emulator has saved against sending and training the full model.',
    width: 24,
    height: 7,
    labels: { namespace: 'Namespace' },
    sortBy: 'Namespace',
    queries: [
      { expr: `sum by (namespace) (${perJob('fedbiot_gpu_seconds_total', { by: ['role'] })})`, legend: '' },
      { expr: `sum by (namespace) (${perJob('fedbiot_cpu_seconds_total', { by: ['role'] })})`, legend: '' },
      { expr: `sum by (namespace) (${perJob('fedbiot_trained_tokens_total', { by: ['role'] })})`, legend: '' },
      { expr: `sum by (namespace) (${perJob('fedbiot_delta_bytes_total', { by: ['direction'] })})`, legend: '' },
      { expr: `sum by (namespace) (${perJob('fedbiot_saved_bytes')})`, legend: '' },
      { expr: `sum by (namespace) (${perJob('fedbiot_saved_flops')})`, legend: '' },
    ],
    columns: [
      { name: 'GPU time', unit: 's' },
      { name: 'CPU time', unit: 's' },
      { name: 'Tokens', unit: 'short' },
      { name: 'Bytes moved', unit: 'bytes' },
      { name: 'Bytes saved', unit: 'bytes' },
      { name: 'Computing saved', unit: 'si:FLOP', decimals: 2 },
    ],
  }),
];

export const fleetDashboard = (): Dashboard =>
  finished(
    dashboardBuilder({
      uid: 'fedbiot-fleet',
      title: 'FedBiOT / Fleet',
      description:
        'All jobs: where they stand, which are stuck, what they have learned, and the GPUs they ask for and have.',
      from: 'now-24h',
      variables: [namespaceOfJobs(), job()],
      rows: [
        { title: 'At a glance', panels: atAGlance },
        { title: 'Jobs', panels: jobs },
        { title: 'Stuck', panels: stuck },
        { title: 'Over time', panels: overTime },
        { title: 'Cost', panels: cost },
      ],
    }),
  );
