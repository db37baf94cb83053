import { graph } from '../../panels/panels.ts';
import { clientTokenRate, percentile, ratePerJob, told } from '../../panels/query.ts';
import { CLIENT, SERVER } from './roles.ts';

export const time = [
  graph({
    title: 'Time of a round by phase',
    description:
      'Mean over the rounds that ended in the interval: alignment, clients’ training, aggregation, evaluation. The first round has the alignment before it.',
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
    description:
      'Tokens a second: of the server in alignment, of clients as their pods tell it, or else as their results are accepted.',
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
        expr: percentile(0.5, `rate(${told('fedbiot_step_duration_seconds_bucket')}[$__rate_interval])`, [
          'namespace',
          'job',
          'phase',
        ]),
        legend: '{{job}} {{phase}}',
      },
    ],
  }),
];
