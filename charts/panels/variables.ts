import {
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';

/** The Prometheus that is selected in the dashboard. */
export const PROMETHEUS = { type: 'prometheus', uid: '${datasource}' };

export const datasource = () => new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus');

/** Also matches series without the label: `fedbiot run` may have no namespace. */
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
/** The variable's name differs from that of the jobs' namespace, because links between dashboards pass variables on. */
export const namespaceOfOperators = () =>
  valuesOf(
    'operator',
    'Namespace of the operator',
    'controller_runtime_max_concurrent_reconciles{controller="fedbiotjob"}',
    'namespace',
  );
