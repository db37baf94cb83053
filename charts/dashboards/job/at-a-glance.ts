import { figure } from '../panels.ts';
import { accuracyOf, perJob } from '../query.ts';

/** The mean of the finished rounds, as far as the server pod that runs has seen them. */
const MEAN_ROUND_SECONDS =
  `sum by (namespace, job) (${perJob('fedbiot_round_duration_seconds_sum', { by: ['phase'] })})` +
  ` / ${perJob('fedbiot_round_duration_seconds_count')}`;

export const atAGlance = [
  figure({
    title: 'Rounds',
    description: 'Rounds that are finished, and rounds in all.',
    unit: 'none',
    width: 4,
    height: 4,
    queries: [
      { expr: perJob('fedbiot_round'), legend: '{{job}} finished' },
      { expr: perJob('fedbiot_rounds'), legend: '{{job}} in all' },
    ],
  }),
  figure({
    title: 'Accuracy',
    description:
      'Of full model + adapter (AdapFu) in the last evaluation: what the training is for. Nothing before the first, and for a task without an accuracy.',
    unit: 'percentunit',
    decimals: 1,
    width: 4,
    height: 4,
    history: true,
    queries: [{ expr: accuracyOf('adap_fu'), legend: '{{job}}' }],
  }),
  figure({
    title: 'Gain over the base model',
    description:
      'Accuracy of full model + adapter less that of the model as it was given, in points. Below 0 the training does harm.',
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
    description:
      'Loss of emulator + adapter less that of full model + adapter (nats), in the last evaluation: how far what clients train beside is from the model.',
    unit: 'none',
    decimals: 3,
    width: 4,
    height: 4,
    history: true,
    queries: [{ expr: perJob('fedbiot_alignment_gap'), legend: '{{job}}' }],
  }),
  figure({
    title: 'Since the last progress',
    description:
      'Time since the server last told of progress: the end of a phase, a client, an evaluation or a round. A phase of a large model may take long.',
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
    description:
      'Rounds to go times the mean time of those finished. Without the alignment before the first round it would be less at the beginning.',
    unit: 's',
    decimals: 0,
    width: 4,
    height: 4,
    queries: [
      {
        expr: `(${perJob('fedbiot_rounds')} - ${perJob('fedbiot_round')}) * (${MEAN_ROUND_SECONDS})`,
        legend: '{{job}}',
      },
    ],
  }),
];
