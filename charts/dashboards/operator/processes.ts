import { graph } from '../panels.ts';
import { ofOperators, perOperator } from '../query.ts';
import { rateOfAny, REPLICA } from './queries.ts';

const ofAny = (metric: string) => ofOperators(perOperator(metric));

export const processes = [
  graph({
    title: 'Event loop lag',
    description:
      '99th percentile between two scrapes. The lease is renewed on the same loop: at ten seconds the lead is lost.',
    unit: 's',
    min: 0,
    width: 8,
    height: 8,
    queries: [{ expr: ofAny('nodejs_eventloop_lag_p99_seconds'), legend: REPLICA }],
  }),
  graph({
    title: 'CPU',
    description: 'Cores that a replica uses.',
    unit: 'none',
    min: 0,
    width: 8,
    height: 8,
    queries: [{ expr: rateOfAny('process_cpu_seconds_total'), legend: REPLICA }],
  }),
  graph({
    title: 'Memory',
    description: 'Resident. It grows with the number of jobs: with 300, up to 321 MiB.',
    unit: 'bytes',
    min: 0,
    width: 8,
    height: 8,
    queries: [{ expr: ofAny('process_resident_memory_bytes'), legend: REPLICA }],
  }),
];
