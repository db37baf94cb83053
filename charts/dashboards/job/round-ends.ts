import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import { AnnotationQueryBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import type { AnnotationQuery } from '@grafana/grafana-foundation-sdk/dashboard';
import { chosenSeries } from '../../panels/query.ts';
import { PROMETHEUS } from '../../panels/variables.ts';

const roundAt = (offset: string) =>
  `count_values by (namespace, job) ("round", max by (namespace, job) (${chosenSeries('fedbiot_round')}${offset}) > 0)`;

/** A vertical line at the end of each round. */
export const roundEnds: Builder<AnnotationQuery> = {
  build: () => ({
    ...new AnnotationQueryBuilder()
      .name('Rounds')
      .datasource(PROMETHEUS)
      .enable(true)
      .iconColor('rgba(128, 128, 128, 0.6)')
      .expr(`${roundAt('')} unless ${roundAt(' offset $__interval')}`)
      .build(),
    // Fields of Prometheus annotations that the library does not have.
    titleFormat: 'Round {{round}}',
    textFormat: '{{job}}',
  }),
};
