import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import { AnnotationQueryBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import type { AnnotationQuery } from '@grafana/grafana-foundation-sdk/dashboard';
import { told } from '../../panels/query.ts';
import { PROMETHEUS } from '../../panels/variables.ts';

const roundAt = (offset: string) =>
  `count_values by (namespace, job) ("round", max by (namespace, job) (${told('fedbiot_round')}${offset}) > 0)`;

/** A line where a round has become the last finished one. */
export const roundEnds: Builder<AnnotationQuery> = {
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
