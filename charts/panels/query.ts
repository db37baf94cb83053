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

/**
 * A series of each chosen job: every replica of the operator and the server pod may tell it, so the maximum over them.
 */
export const perJob = (metric: string, { by, where }: Choice = {}) => `max by (${kept(by)}) (${told(metric, where)})`;

/** The same of a counter, a second. */
export const ratePerJob = (metric: string, { by, where }: Choice = {}) =>
  `max by (${kept(by)}) (rate(${told(metric, where)}[$__rate_interval]))`;

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
  const live = `sum by (namespace, job) (rate(${told('fedbiot_client_trained_tokens_total')}[$__rate_interval]))`;
  const accepted = told('fedbiot_trained_tokens_total', 'role="client"');
  return `${live} or max by (namespace, job) (rate(${accepted}[$__rate_interval]))`;
};

/**
 * What is counted when a round ends, over something else that is: as the same source tells both, which is the server
 * pod, since between two sources' scrapes a round may end.
 */
export const perRound = (counter: string, by: string, of: string) =>
  `max by (namespace, job, ${by}) (rate(${told(counter)}[$__rate_interval])` +
  ` / on (namespace, job, instance) group_left () ${of})`;

/** Seconds of rounds that have ended, a second. */
export const ROUND_SECONDS = `sum by (namespace, job, instance) (rate(${told('fedbiot_round_duration_seconds_sum')}[$__rate_interval]))`;
/** Rounds that have ended, a second. */
export const ROUNDS_ENDED = `max by (namespace, job, instance) (rate(${told('fedbiot_round_duration_seconds_count')}[$__rate_interval]))`;

/** Series that the chosen operators tell of themselves. */
export const perOperator = (metric: string, where?: string) => `${metric}{namespace=~"$operator"${further(where)}}`;

/** Of series that every program tells, those of an operator. */
export const ofOperators = (vector: string) =>
  `${vector} and on (instance) ${perOperator('controller_runtime_max_concurrent_reconciles', 'controller="fedbiotjob"')}`;

/** Percentile of a histogram's rate. `by` are labels to tell apart. */
export const percentile = (part: number, bucketRates: string, by: readonly string[]) =>
  `histogram_quantile(${part}, sum by (${[...by, 'le'].join(', ')}) (${bucketRates}))`;
