import { graph } from '../../panels/panels.ts';
import { perJob } from '../../panels/query.ts';

export const clients = [
  graph({
    title: 'Clients of the round',
    description:
      'Outcomes of the clients selected for the current or last round. With fewer reports than the quorum (dashed line), the round does not count and is retried.',
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
    title: 'Client dropout and quorum limit',
    description:
      'Dropped clients over selected clients. Above the dashed line, fewer clients than the quorum remain and the round does not count.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    width: 8,
    height: 8,
    looks: [
      { name: /dropout/, color: 'orange' },
      { name: /limit/, color: 'red', dashed: true },
    ],
    queries: [
      { expr: perJob('fedbiot_client_dropout_ratio'), legend: '{{job}} dropout' },
      {
        expr: `1 - ${perJob('fedbiot_quorum_clients')} / (${perJob('fedbiot_clients', { where: 'state="selected"' })} > 0)`,
        legend: '{{job}} limit',
      },
    ],
  }),
  graph({
    title: 'Refused results by reason',
    description:
      'Results that arrived and were not aggregated. Late ones, duplicates and those of another round follow from tasks that were delivered twice; all others come from a faulty or hostile client.',
    unit: 'none',
    decimals: 0,
    min: 0,
    width: 8,
    height: 8,
    stacked: true,
    queries: [{ expr: perJob('fedbiot_refused_results_total', { by: ['reason'] }), legend: '{{job}} {{reason}}' }],
  }),
];
