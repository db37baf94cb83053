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
      'Accuracy in each evaluation of the model before training (base), of emulator + adapter (AdapEmu, what clients have) and of full model + adapter (AdapFu, what the server gains). For task qa also F1, the mean word overlap with the best accepted answer. Vertical lines mark the ends of rounds.',
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
      'Local: mean over the clients of a round (nats). Eval: full model + adapter on the evaluation data (nats). Alignment: difference between emulator and full model, in the unit of the chosen similarity.',
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
      'Loss of emulator + adapter minus loss of full model + adapter (nats). If it rises while the accuracy of the full model falls, align more (emulator.alignment).',
    unit: 'none',
    width: 6,
    height: 7,
    looks: [{ name: /./, color: 'purple' }],
    queries: [{ expr: perJob('fedbiot_alignment_gap'), legend: '{{job}}' }],
  }),
  graph({
    title: 'Alignment gap on public data',
    description:
      'Mean loss over the last tenth of each alignment, in the unit of the chosen similarity: the difference between emulator and full model that remains on public data. If it falls while the alignment gap in evaluation rises, the public data differs too much from the evaluation data.',
    unit: 'none',
    width: 6,
    height: 7,
    looks: [{ name: /./, color: 'purple' }],
    queries: [{ expr: perJob('fedbiot_public_alignment_gap'), legend: '{{job}}' }],
  }),
  graph({
    title: 'Layer drop and client dropout',
    description:
      'Layer drop: fraction of the teacher part’s layers that the emulator does not have (β). Client dropout: fraction of the selected clients that did not report.',
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
      { expr: perJob('fedbiot_emulator_layer_dropout_ratio'), legend: '{{job}} layer drop' },
      { expr: perJob('fedbiot_client_dropout_ratio'), legend: '{{job}} client dropout' },
    ],
  }),
  graph({
    title: 'Round',
    description: 'Last finished round. The line is flat while a round is in progress or stalled.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 6,
    height: 7,
    looks: [{ name: /total/, color: 'gray', dashed: true }],
    queries: [
      { expr: perJob('fedbiot_round'), legend: '{{job}}' },
      { expr: perJob('fedbiot_rounds'), legend: '{{job}} total' },
    ],
  }),
];
