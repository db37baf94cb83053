import {
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';

/** Whichever Prometheus the reader of the dashboard has chosen. */
export const PROMETHEUS = { type: 'prometheus', uid: '${datasource}' };

export const datasource = () => new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus');

/** Also what has no such label: a run in one process may be in no namespace. */
const EVERYTHING = '.*';

function valuesOf(name: string, label: string, series: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(PROMETHEUS)
    .query(`label_values(${series}, ${name})`)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue(EVERYTHING)
    .current({ selected: true, text: 'All', value: '$__all' });
}

export const namespaceOfJobs = () => valuesOf('namespace', 'Namespace', 'fedbiot_rounds');
export const job = () => valuesOf('job', 'Job', 'fedbiot_rounds{namespace=~"$namespace"}');
export const namespaceOfOperators = () =>
  valuesOf('namespace', 'Namespace', 'controller_runtime_max_concurrent_reconciles{controller="fedbiotjob"}');
