import { graph } from '../../panels/panels.ts';
import { ofOperators, perOperator } from '../../panels/query.ts';
import { rateOfAny, REPLICA } from './queries.ts';

const ofAny = (metric: string) => ofOperators(perOperator(metric));

export const processes = [
  graph({
    title: 'Event loop lag',
    description:
      '99th percentile between two scrapes. The lease is renewed on the same event loop: a lag of ten seconds loses leadership.',
    unit: 's',
    min: 0,
    width: 8,
    height: 8,
    queries: [{ expr: ofAny('nodejs_eventloop_lag_p99_seconds'), legend: REPLICA }],
  }),
  graph({
    title: 'CPU',
    description: 'Cores used, by replica.',
    unit: 'none',
    min: 0,
    width: 8,
    height: 8,
    queries: [{ expr: rateOfAny('process_cpu_seconds_total'), legend: REPLICA }],
  }),
  graph({
    title: 'Memory',
    description: 'Resident memory. It grows with the number of jobs: up to 321 MiB with 300 jobs.',
    unit: 'bytes',
    min: 0,
    width: 8,
    height: 8,
    queries: [{ expr: ofAny('process_resident_memory_bytes'), legend: REPLICA }],
  }),
];
