import type { Look } from '../../panels/panels.ts';
import { ofOperators, percentile, perOperator } from '../../panels/query.ts';

export const CONTROLLER = 'controller="fedbiotjob"';

export const QUEUE = 'name="fedbiotjob"';

export const LEASE = 'name="fedbiot-operator"';

export const rate = (metric: string, where: string) => `rate(${perOperator(metric, where)}[$__rate_interval])`;

/** Rate of a counter that every operator exports without a label of its own; the instance identifies ours. */
export const rateOfAny = (metric: string) => ofOperators(`rate(${perOperator(metric)}[$__rate_interval])`);

/** A replica that is scraped by its address has no label `pod`. */
export const REPLICA = '{{pod}} {{instance}}';

export const PERCENTILES: readonly Look[] = [
  { name: /p50/, color: 'green' },
  { name: /p90/, color: 'yellow' },
  { name: /p99/, color: 'red' },
];

export const percentilesOf = (bucket: string, where: string) =>
  [50, 90, 99].map((part) => ({ expr: percentile(part / 100, rate(bucket, where), []), legend: `p${part}` }));

export const redisUsed = perOperator('fedbiot_operator_redis_memory_used_bytes');
