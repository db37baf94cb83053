import { figure } from '../../panels/panels.ts';
import { accuracyOf, perJob } from '../../panels/query.ts';

/** Mean duration of the rounds that finished while the current server pod ran. */
const MEAN_ROUND_SECONDS =
  `sum by (namespace, job) (${perJob('fedbiot_round_duration_seconds_sum', { by: ['phase'] })})` +
  ` / ${perJob('fedbiot_round_duration_seconds_count')}`;

export const atAGlance = [
  figure({
    title: 'Rounds',
    description: 'Finished rounds and total rounds.',
    unit: 'none',
    width: 4,
    height: 4,
    queries: [
      { expr: perJob('fedbiot_round'), legend: '{{job}} finished' },
      { expr: perJob('fedbiot_rounds'), legend: '{{job}} total' },
    ],
  }),
  figure({
    title: 'Accuracy',
    description:
      'Accuracy of full model + adapter (AdapFu) in the last evaluation, which training is meant to improve. Empty before the first evaluation and for tasks without an accuracy.',
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
      'Accuracy of full model + adapter minus that of the base model, in percentage points. A negative value means that training made the model worse.',
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
      'Loss of emulator + adapter minus loss of full model + adapter (nats), in the last evaluation: how far the clients’ emulator is from the full model.',
    unit: 'none',
    decimals: 3,
    width: 4,
    height: 4,
    history: true,
    queries: [{ expr: perJob('fedbiot_alignment_gap'), legend: '{{job}}' }],
  }),
  figure({
    title: 'Time since last progress',
    description:
      'Time since the server last reported progress: the end of a phase, a client, an evaluation or a round. A phase of a large model may take long.',
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
    title: 'Estimated time left',
    description:
      'Remaining rounds times the mean duration of finished rounds. At first the estimate is too high, because the first round includes the initial alignment.',
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
