/** A query of a panel. `legend` may name labels, as `{{job}}`. */
export interface Query {
  readonly expr: string;
  readonly legend: string;
}

/** What the variables of a dashboard choose. */
const JOB = 'namespace=~"$namespace", job=~"$job"';

export interface Choice {
  /** Labels that are kept besides namespace and job. */
  readonly by?: readonly string[];
  /** Further matchers. */
  readonly where?: string;
}

/** Series of the chosen jobs, as they are told. */
export const told = (metric: string, where?: string) => `${metric}{${JOB}${further(where)}}`;
const further = (where?: string) => (where === undefined ? '' : `, ${where}`);
const kept = (by: readonly string[] = []) => ['namespace', 'job', ...by].join(', ');

/** A series of each chosen job: every replica of the operator and the server pod may tell it, so the maximum over them. */
export const perJob = (metric: string, { by, where }: Choice = {}) => `max by (${kept(by)}) (${told(metric, where)})`;

/** The same of a counter, a second. */
export const ratePerJob = (metric: string, { by, where }: Choice = {}) => `max by (${kept(by)}) (rate(${told(metric, where)}[$__rate_interval]))`;

/** Client pods tell of themselves under some of the same names: these are theirs, known by what they alone tell. */
const FROM_CLIENT_POD = 'on (instance) fedbiot_bundle_bytes';

export const notOfClientPods = (vector: string) => `${vector} unless ${FROM_CLIENT_POD}`;
export const ofClientPods = (vector: string) => `${vector} and ${FROM_CLIENT_POD}`;

/** Series that operators tell of themselves. */
export const perOperator = (metric: string, where?: string) => `${metric}{namespace=~"$namespace"${further(where)}}`;

/** Of series that every program tells, those of an operator. */
export const ofOperators = (vector: string) =>
  `${vector} and on (instance) controller_runtime_max_concurrent_reconciles{namespace=~"$namespace", controller="fedbiotjob"}`;

/** Percentile of a histogram's rate. `by` are labels to tell apart. */
export const percentile = (part: number, bucketRates: string, by: readonly string[]) =>
  `histogram_quantile(${part}, sum by (${[...by, 'le'].join(', ')}) (${bucketRates}))`;
