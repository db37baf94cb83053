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

function valuesOf(name: string, title: string, series: string, label: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(title)
    .datasource(PROMETHEUS)
    .query(`label_values(${series}, ${label})`)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue(EVERYTHING)
    .current({ selected: true, text: 'All', value: '$__all' });
}

export const namespaceOfJobs = () => valuesOf('namespace', 'Namespace', 'fedbiot_rounds', 'namespace');
export const job = () => valuesOf('job', 'Job', 'fedbiot_rounds{namespace=~"$namespace"}', 'job');
/** By another name than that of jobs: links carry the variables along. */
export const namespaceOfOperators = () =>
  valuesOf(
    'operator',
    'Namespace of the operator',
    'controller_runtime_max_concurrent_reconciles{controller="fedbiotjob"}',
    'namespace',
  );
