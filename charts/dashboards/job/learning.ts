import { graph } from '../../panels/panels.ts';
import type { Look } from '../../panels/panels.ts';
import { perJob, scoresOf } from '../../panels/query.ts';

const MODELS: readonly Look[] = [
  { name: /base/, color: 'gray', dashed: true },
  { name: /AdapEmu/, color: 'blue' },
  { name: /AdapFu/, color: 'orange' },
];

export const learning = [
  graph({
    title: 'Accuracy by round',
    description:
      'In each evaluation: of the model as it was given (base), of emulator + adapter (AdapEmu: what clients have) and of full model + adapter (AdapFu: what the server gains); and F1, the mean word overlap with the best accepted answer, where the task has it. A vertical line is the end of a round.',
    unit: 'percentunit',
    min: 0,
    width: 12,
    height: 9,
    looks: MODELS,
    queries: [
      { expr: scoresOf('base'), legend: '{{job}} base {{score}}' },
      { expr: scoresOf('adap_emu'), legend: '{{job}} AdapEmu {{score}}' },
      { expr: scoresOf('adap_fu'), legend: '{{job}} AdapFu {{score}}' },
    ],
  }),
  graph({
    title: 'Losses',
    description:
      'Local: mean of the clients of a round (nats). Eval: full model + adapter on the evaluation data (nats). Alignment: emulator against full model, in the units of the method.',
    unit: 'none',
    min: 0,
    width: 12,
    height: 9,
    looks: [
      { name: /alignment/, color: 'purple' },
      { name: /local/, color: 'green' },
      { name: /eval/, color: 'orange' },
    ],
    queries: [
      {
        expr: perJob('fedbiot_loss', { by: ['phase'] }),
        legend: '{{job}} {{phase}}',
      },
    ],
  }),
  graph({
    title: 'Alignment gap',
    description:
      'Loss of emulator + adapter less that of full model + adapter (nats). When it rises while the accuracy of the full model falls, align more: emulator.alignment.',
    unit: 'none',
    width: 6,
    height: 7,
    looks: [{ name: /./, color: 'purple' }],
    queries: [{ expr: perJob('fedbiot_alignment_gap'), legend: '{{job}}' }],
  }),
  graph({
    title: 'Alignment gap on public data',
    description:
      'Mean loss over the last tenth of each alignment, in the units of the method: the difference between emulator and model that alignment leaves on public data. When it falls and the gap in evaluation rises, the public data is too unlike the evaluation data.',
    unit: 'none',
    width: 6,
    height: 7,
    looks: [{ name: /./, color: 'purple' }],
    queries: [{ expr: perJob('fedbiot_public_alignment_gap'), legend: '{{job}}' }],
  }),
  graph({
    title: 'Layers and clients left out',
    description:
      'Layer dropout: part of the layers below the adapter that the emulator does without (β). Client dropout: part of the drawn clients that did not report.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    width: 6,
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
    width: 6,
    height: 7,
    looks: [{ name: /in all/, color: 'gray', dashed: true }],
    queries: [
      { expr: perJob('fedbiot_round'), legend: '{{job}}' },
      { expr: perJob('fedbiot_rounds'), legend: '{{job}} in all' },
    ],
  }),
];
