import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import { AnnotationQueryBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import type { AnnotationQuery, Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { dashboardBuilder, finished } from './dashboard.ts';
import { figure, graph, table } from './panels.ts';
import type { Look } from './panels.ts';
import { ROUNDS_ENDED, ROUND_SECONDS, clientTokenRate, notOfClientPods, perJob, perRound, percentile, ratePerJob, told } from './query.ts';
import { PROMETHEUS, job, namespaceOfJobs } from './variables.ts';

const ACCURACY = 'fedbiot_accuracy_ratio';
const accuracyOf = (model: string) => perJob(ACCURACY, { where: `model="${model}"` });

const MODELS: readonly Look[] = [
  { name: /base/, color: 'gray', dashed: true },
  { name: /AdapEmu/, color: 'blue' },
  { name: /AdapFu/, color: 'orange' },
];

const SERVER: Look = { name: /server/, color: 'purple' };
const CLIENT: Look = { name: /client/, color: 'green' };

/** The mean of the finished rounds, as far as the server pod that runs has seen them. */
const MEAN_ROUND_SECONDS =
  `sum by (namespace, job) (${perJob('fedbiot_round_duration_seconds_sum', { by: ['phase'] })})` +
  ` / ${perJob('fedbiot_round_duration_seconds_count')}`;

const ROUND = perJob('fedbiot_round');
const roundAt = (offset: string) => `count_values by (namespace, job) ("round", max by (namespace, job) (${told('fedbiot_round')}${offset}) > 0)`;

/** A line where a round has become the last finished one. */
const roundEnds: Builder<AnnotationQuery> = {
  build: () => ({
    ...new AnnotationQueryBuilder()
      .name('Rounds')
      .datasource(PROMETHEUS)
      .enable(true)
      .iconColor('rgba(128, 128, 128, 0.6)')
      .expr(`${roundAt('')} unless ${roundAt(' offset $__interval')}`)
      .build(),
    // What the editor of Prometheus' annotations writes beside it.
    titleFormat: 'Round {{round}}',
    textFormat: '{{job}}',
  }),
};

const atAGlance = [
  figure({
    title: 'Rounds',
    description: 'Rounds that are finished, and rounds in all.',
    unit: 'none',
    width: 4,
    height: 4,
    queries: [
      { expr: ROUND, legend: '{{job}} finished' },
      { expr: perJob('fedbiot_rounds'), legend: '{{job}} in all' },
    ],
  }),
  figure({
    title: 'Accuracy',
    description: 'Of full model + adapter (AdapFu) in the last evaluation: what the training is for. Nothing before the first, and for a task without an accuracy.',
    unit: 'percentunit',
    decimals: 1,
    width: 4,
    height: 4,
    history: true,
    queries: [{ expr: accuracyOf('adap_fu'), legend: '{{job}}' }],
  }),
  figure({
    title: 'Gain over the base model',
    description: 'Accuracy of full model + adapter less that of the model as it was given, in points. Below 0 the training does harm.',
    unit: 'percentunit',
    decimals: 1,
    width: 4,
    height: 4,
    steps: [
      { value: null, color: 'red' },
      { value: 0, color: 'text' },
      { value: 0.01, color: 'green' },
    ],
    queries: [{ expr: `${accuracyOf('adap_fu')} - on (namespace, job) ${accuracyOf('base')}`, legend: '{{job}}' }],
  }),
  figure({
    title: 'Alignment gap',
    description: 'Loss of emulator + adapter less that of full model + adapter (nats), in the last evaluation: how far what clients train beside is from the model.',
    unit: 'none',
    decimals: 3,
    width: 4,
    height: 4,
    history: true,
    queries: [{ expr: perJob('fedbiot_alignment_gap'), legend: '{{job}}' }],
  }),
  figure({
    title: 'Since the last progress',
    description: 'Time since the server last told of progress: the end of a phase, a client, an evaluation or a round. A phase of a large model may take long.',
    unit: 's',
    decimals: 0,
    width: 4,
    height: 4,
    steps: [
      { value: null, color: 'green' },
      { value: 1800, color: 'yellow' },
      { value: 3600, color: 'red' },
    ],
    queries: [{ expr: `time() - ${perJob('fedbiot_last_progress_timestamp_seconds')}`, legend: '{{job}}' }],
  }),
  figure({
    title: 'Time left',
    description: 'Rounds to go times the mean time of those finished. Without the alignment before the first round it would be less at the beginning.',
    unit: 's',
    decimals: 0,
    width: 4,
    height: 4,
    queries: [{ expr: `(${perJob('fedbiot_rounds')} - ${ROUND}) * (${MEAN_ROUND_SECONDS})`, legend: '{{job}}' }],
  }),
];

const learning = [
  graph({
    title: 'Accuracy by round',
    description: 'In each evaluation: of the model as it was given (base), of emulator + adapter (AdapEmu: what clients have) and of full model + adapter (AdapFu: what the server gains). A vertical line is the end of a round.',
    unit: 'percentunit',
    min: 0,
    width: 12,
    height: 9,
    looks: MODELS,
    queries: [
      { expr: accuracyOf('base'), legend: '{{job}} base' },
      { expr: accuracyOf('adap_emu'), legend: '{{job}} AdapEmu' },
      { expr: accuracyOf('adap_fu'), legend: '{{job}} AdapFu' },
    ],
  }),
  graph({
    title: 'Losses',
    description: 'Local: mean of the clients of a round (nats). Eval: full model + adapter on the evaluation data (nats). Alignment: emulator against full model, in the units of the method.',
    unit: 'none',
    min: 0,
    width: 12,
    height: 9,
    looks: [
      { name: /alignment/, color: 'purple' },
      { name: /local/, color: 'green' },
      { name: /eval/, color: 'orange' },
    ],
    queries: [{ expr: `max by (namespace, job, phase) (${notOfClientPods(told('fedbiot_loss'))})`, legend: '{{job}} {{phase}}' }],
  }),
  graph({
    title: 'Alignment gap',
    description: 'Loss of emulator + adapter less that of full model + adapter (nats). When it rises while the accuracy of the full model falls, align more: emulator.alignment.',
    unit: 'none',
    width: 8,
    height: 7,
    looks: [{ name: /./, color: 'purple' }],
    queries: [{ expr: perJob('fedbiot_alignment_gap'), legend: '{{job}}' }],
  }),
  graph({
    title: 'Layers and clients left out',
    description: 'Layer dropout: part of the layers below the adapter that the emulator does without (β). Client dropout: part of the drawn clients that did not report.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    width: 8,
    height: 7,
    looks: [
      { name: /layer/, color: 'blue', dashed: true },
      { name: /client/, color: 'orange' },
    ],
    queries: [
      { expr: perJob('fedbiot_emulator_layer_dropout_ratio'), legend: '{{job}} layer dropout' },
      { expr: perJob('fedbiot_client_dropout_ratio'), legend: '{{job}} client dropout' },
    ],
  }),
  graph({
    title: 'Round',
    description: 'Last finished round. A flat line is a round under way, or one that does not end.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 7,
    looks: [{ name: /in all/, color: 'gray', dashed: true }],
    queries: [
      { expr: ROUND, legend: '{{job}}' },
      { expr: perJob('fedbiot_rounds'), legend: '{{job}} in all' },
    ],
  }),
];

const clients = [
  graph({
    title: 'Clients of the round',
    description: 'What became of the clients drawn for the round under way or the last. Below the dashed line, the quorum, the round does not count and is tried again.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    looks: [
      { name: /selected/, color: 'gray' },
      { name: /reported/, color: 'green' },
      { name: /dropped/, color: 'orange' },
      { name: /refused/, color: 'red' },
      { name: /quorum/, color: 'text', dashed: true },
    ],
    queries: [
      { expr: perJob('fedbiot_clients', { by: ['state'] }), legend: '{{job}} {{state}}' },
      { expr: perJob('fedbiot_quorum_clients'), legend: '{{job}} quorum' },
    ],
  }),
  graph({
    title: 'Client dropout and what the quorum bears',
    description: 'Dropped clients over those drawn. Above the dashed line – all but the quorum – the round does not count.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    width: 8,
    height: 8,
    looks: [
      { name: /dropout/, color: 'orange' },
      { name: /bears/, color: 'red', dashed: true },
    ],
    queries: [
      { expr: perJob('fedbiot_client_dropout_ratio'), legend: '{{job}} dropout' },
      {
        expr: `1 - ${perJob('fedbiot_quorum_clients')} / (${perJob('fedbiot_clients', { where: 'state="selected"' })} > 0)`,
        legend: '{{job}} bears',
      },
    ],
  }),
  graph({
    title: 'Refused results by reason',
    description: 'Results that came and were not used. Late ones, duplicates and those of another round come of tasks given out twice; all others are of a client that is broken or hostile.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    stacked: true,
    queries: [{ expr: perJob('fedbiot_refused_results_total', { by: ['reason'] }), legend: '{{job}} {{reason}}' }],
  }),
];

const time = [
  graph({
    title: 'Time of a round by phase',
    description: 'Mean over the rounds that ended in the interval: alignment, clients’ training, aggregation, evaluation. The first round has the alignment before it.',
    unit: 's',
    min: 0,
    width: 8,
    height: 8,
    stacked: true,
    bars: true,
    looks: [
      { name: /align/, color: 'purple' },
      { name: /local/, color: 'green' },
      { name: /aggregate/, color: 'orange' },
      { name: /evaluate/, color: 'blue' },
    ],
    queries: [
      {
        expr: `${ratePerJob('fedbiot_round_duration_seconds_sum', { by: ['phase'] })} / ${ratePerJob('fedbiot_round_duration_seconds_count', { by: ['phase'] })}`,
        legend: '{{job}} {{phase}}',
      },
    ],
  }),
  graph({
    title: 'Tokens trained',
    description: 'Tokens a second: of the server in alignment, of clients as their pods tell it, or else as their results are accepted.',
    unit: 'short',
    min: 0,
    width: 8,
    height: 8,
    looks: [SERVER, CLIENT],
    queries: [
      { expr: ratePerJob('fedbiot_trained_tokens_total', { where: 'role="server"' }), legend: '{{job}} server' },
      { expr: clientTokenRate(), legend: '{{job}} clients' },
    ],
  }),
  graph({
    title: 'Time of a step',
    description: 'Median of the optimizer steps of alignment and of clients whose results were accepted.',
    unit: 's',
    min: 0,
    width: 8,
    height: 8,
    looks: [
      { name: /align/, color: 'purple' },
      { name: /local/, color: 'green' },
    ],
    queries: [
      {
        expr: percentile(0.5, notOfClientPods(`rate(${told('fedbiot_step_duration_seconds_bucket')}[$__rate_interval])`), ['namespace', 'job', 'phase']),
        legend: '{{job}} {{phase}}',
      },
    ],
  }),
];

const cost = [
  graph({
    title: 'GPUs at work',
    description: 'By role, the mean of the rounds that ended in the interval: GPU-seconds over the seconds they took. Far below the GPUs that the job holds, these wait.',
    connected: true,
    unit: 'none',
    min: 0,
    width: 6,
    height: 7,
    looks: [SERVER, CLIENT],
    queries: [{ expr: perRound('fedbiot_gpu_seconds_total', 'role', ROUND_SECONDS), legend: '{{job}} {{role}}' }],
  }),
  graph({
    title: 'CPUs at work',
    description: 'By role, the mean of the rounds that ended in the interval: CPU-seconds over the seconds they took.',
    connected: true,
    unit: 'none',
    min: 0,
    width: 6,
    height: 7,
    looks: [SERVER, CLIENT],
    queries: [{ expr: perRound('fedbiot_cpu_seconds_total', 'role', ROUND_SECONDS), legend: '{{job}} {{role}}' }],
  }),
  graph({
    title: 'Peak memory',
    description: 'The largest among the processes of a role, since the job began.',
    unit: 'bytes',
    min: 0,
    width: 6,
    height: 7,
    looks: [SERVER, CLIENT],
    queries: [{ expr: perJob('fedbiot_peak_memory_bytes', { by: ['role'] }), legend: '{{job}} {{role}}' }],
  }),
  graph({
    title: 'Bytes of a round',
    description: 'LoRA vectors down to clients and up from them, the mean of the rounds that ended in the interval.',
    unit: 'bytes',
    connected: true,
    min: 0,
    width: 6,
    height: 7,
    looks: [
      { name: /down/, color: 'blue' },
      { name: /up/, color: 'orange' },
    ],
    queries: [{ expr: perRound('fedbiot_delta_bytes_total', 'direction', ROUNDS_ENDED), legend: '{{job}} {{direction}}' }],
  }),
  table({
    title: 'Cost so far, by role',
    description: 'Of the rounds that are finished.',
    width: 12,
    height: 6,
    labels: { namespace: 'Namespace', job: 'Job', role: 'Role' },
    sortBy: 'Job',
    queries: [
      { expr: perJob('fedbiot_cpu_seconds_total', { by: ['role'] }), legend: '' },
      { expr: perJob('fedbiot_gpu_seconds_total', { by: ['role'] }), legend: '' },
      { expr: perJob('fedbiot_trained_tokens_total', { by: ['role'] }), legend: '' },
      { expr: perJob('fedbiot_peak_memory_bytes', { by: ['role'] }), legend: '' },
    ],
    columns: [
      { name: 'CPU time', unit: 's' },
      { name: 'GPU time', unit: 's' },
      { name: 'Tokens', unit: 'short' },
      { name: 'Peak memory', unit: 'bytes' },
    ],
  }),
  figure({
    title: 'Bytes in all',
    description: 'LoRA vectors since the job began, down to clients and up from them.',
    unit: 'bytes',
    width: 4,
    height: 6,
    queries: [
      { expr: perJob('fedbiot_delta_bytes_total', { where: 'direction="down"' }), legend: '{{job}} down' },
      { expr: perJob('fedbiot_delta_bytes_total', { where: 'direction="up"' }), legend: '{{job}} up' },
    ],
  }),
  figure({
    title: 'Bytes saved',
    description: 'Against sending the full model to the clients, less what was sent instead. Below 0 it was more.',
    unit: 'bytes',
    width: 4,
    height: 6,
    queries: [{ expr: perJob('fedbiot_saved_bytes'), legend: '{{job}}' }],
  }),
  figure({
    title: 'Computing saved',
    description: 'Floating-point operations, by formula, against training the full model on the clients. Below 0 it was more.',
    unit: 'si:FLOP',
    decimals: 2,
    width: 4,
    height: 6,
    queries: [{ expr: perJob('fedbiot_saved_flops'), legend: '{{job}}' }],
  }),
];

/** What only a cluster's operator and pods tell. */
const onTheCluster = [
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
    description: 'Since the pods that run began, by what became of them: answered with an adapter, answered with why there is none (failed), no longer wanted (withdrawn).',
    unit: 'none',
    width: 12,
    height: 4,
    namesBeside: true,
    queries: [{ expr: `sum by (namespace, job, outcome) (${told('fedbiot_tasks_total')})`, legend: '{{job}} {{outcome}}' }],
  }),
  graph({
    title: 'GPUs asked and running',
    description: 'Asked: by the pods that the job wants. Running: of pods that run. Asked and not running, they wait for a node.',
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
    description: 'Tasks that no client has taken, and results that the server has not. Tasks wait while there are more clients than places for them; results should not.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 12,
    height: 8,
    queries: [{ expr: perJob('fedbiot_queue_jobs', { by: ['queue'] }), legend: '{{job}} {{queue}}' }],
  }),
];

export const jobDashboard = (): Dashboard =>
  finished(
    dashboardBuilder({
      uid: 'fedbiot-job',
      title: 'FedBiOT / Job',
      description: 'One job or several beside each other: what it learns, what its clients do, where the time goes and what it costs.',
      from: 'now-6h',
      variables: [namespaceOfJobs(), job()],
      rows: [
        { title: 'At a glance', panels: atAGlance },
        { title: 'Learning', panels: learning },
        { title: 'Clients', panels: clients },
        { title: 'Time', panels: time },
        { title: 'Cost', panels: cost },
        { title: 'On the cluster', panels: onTheCluster },
      ],
    }).annotation(roundEnds),
  );
