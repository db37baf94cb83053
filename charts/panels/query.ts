/** A query of a panel. `legend` may contain labels, such as `{{job}}`. */
export interface Query {
  readonly expr: string;
  readonly legend: string;
}

/** Matchers for the dashboard's variables. */
const JOB = 'namespace=~"$namespace", job=~"$job"';

export interface Choice {
  /** Labels that are kept besides namespace and job. */
  readonly by?: readonly string[];
  /** Further matchers. */
  readonly where?: string;
}

/** Series of the chosen jobs, from all sources. */
export const chosenSeries = (metric: string, where?: string) => `${metric}{${JOB}${further(where)}}`;
const further = (where?: string) => (where === undefined ? '' : `, ${where}`);
const kept = (by: readonly string[] = []) => ['namespace', 'job', ...by].join(', ');

/**
 * One series for each chosen job. Every replica of the operator and the server pod may export it: the maximum is taken.
 */
export const perJob = (metric: string, { by, where }: Choice = {}) =>
  `max by (${kept(by)}) (${chosenSeries(metric, where)})`;

/** Rate per second of a counter, likewise. */
export const ratePerJob = (metric: string, { by, where }: Choice = {}) =>
  `max by (${kept(by)}) (rate(${chosenSeries(metric, where)}[$__rate_interval]))`;

/** Accuracy of a model (base, adap_emu, adap_fu) in the last evaluation. */
export const accuracyOf = (model: string) => perJob('fedbiot_accuracy_ratio', { where: `model="${model}"` });

/** Accuracy, and F1 where the task gives partial credit, of a model in the last evaluation: by the label `score`. */
export const scoresOf = (model: string) =>
  [
    ['accuracy', accuracyOf(model)],
    ['F1', perJob('fedbiot_f1_ratio', { where: `model="${model}"` })],
  ]
    .map(([score, vector]) => `label_replace(${vector}, "score", "${score}", "", "")`)
    .join(' or ');

/** Tokens per second that clients train: as their pods report them, or else as the server accepts their results. */
export const clientTokenRate = () => {
  const live = `sum by (namespace, job) (rate(${chosenSeries('fedbiot_client_trained_tokens_total')}[$__rate_interval]))`;
  const accepted = chosenSeries('fedbiot_trained_tokens_total', 'role="client"');
  return `${live} or max by (namespace, job) (rate(${accepted}[$__rate_interval]))`;
};

/**
 * Rate of a counter that grows when a round ends, divided by `of`. Both must come from the same source, the server pod,
 * because a round may end between the scrapes of two sources.
 */
export const perRound = (counter: string, by: string, of: string) =>
  `max by (namespace, job, ${by}) (rate(${chosenSeries(counter)}[$__rate_interval])` +
  ` / on (namespace, job, instance) group_left () ${of})`;

/** Seconds of finished rounds, per second. */
export const ROUND_SECONDS = `sum by (namespace, job, instance) (rate(${chosenSeries('fedbiot_round_duration_seconds_sum')}[$__rate_interval]))`;
/** Finished rounds, per second. */
export const ROUNDS_ENDED = `max by (namespace, job, instance) (rate(${chosenSeries('fedbiot_round_duration_seconds_count')}[$__rate_interval]))`;

/** Series about the chosen operators themselves. */
export const perOperator = (metric: string, where?: string) => `${metric}{namespace=~"$operator"${further(where)}}`;

/** Selects the operators' series from those that every program exports. */
export const ofOperators = (vector: string) =>
  `${vector} and on (instance) ${perOperator('controller_runtime_max_concurrent_reconciles', 'controller="fedbiotjob"')}`;

/** Percentile of a histogram's rate, for each combination of the labels `by`. */
export const percentile = (part: number, bucketRates: string, by: readonly string[]) =>
  `histogram_quantile(${part}, sum by (${[...by, 'le'].join(', ')}) (${bucketRates}))`;
