import { graph } from '../../panels/panels.ts';
import { clientTokenRate, percentile, ratePerJob, chosenSeries } from '../../panels/query.ts';
import { CLIENT, SERVER } from './roles.ts';

export const time = [
  graph({
    title: 'Round duration by phase',
    description:
      'Mean over the rounds that ended in the interval: alignment, training on the clients, aggregation, evaluation. The first round includes the initial alignment.',
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
    title: 'Training throughput',
    description:
      'Tokens per second: alignment on the server, and training on the clients as their pods report it. Without metrics of client pods, tokens count when the server accepts a result.',
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
    title: 'Step duration',
    description: 'Median duration of the optimizer steps of alignment and of clients whose results were accepted.',
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
        expr: percentile(0.5, `rate(${chosenSeries('fedbiot_step_duration_seconds_bucket')}[$__rate_interval])`, [
          'namespace',
          'job',
          'phase',
        ]),
        legend: '{{job}} {{phase}}',
      },
    ],
  }),
];
