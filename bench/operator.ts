/**
 * Measures the operator with many jobs at once, on a real API server with job controller and scheduler but without
 * nodes, and compares it with a plain loop that creates the same objects:
 *
 *   npm run bench:operator -- [--jobs 300] [--idle 3] > table.md
 *
 * Requests are taken from the API server's audit log, for the operator's account. Durations of reconciles and of waits
 * in the queue are the values that the operator passed to its histograms.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { noControllers } from '../test/support/control-plane.ts';
import { noRedis } from '../test/support/redis.ts';
import { positiveInteger } from '../worker/commands/arguments.ts';
import { formatBytes } from '../worker/report/format.ts';
import { busyWarning, describeHost, machine } from './machine.ts';
import type { AuditedRequest } from './operator/audit.ts';
import { measureOperator } from './operator/operator.ts';
import type { OperatorMeasurement } from './operator/operator.ts';
import { measurePlainLoop } from './operator/plain-loop.ts';
import { scoped } from './operator/scope.ts';
import { quantile, table } from './statistics.ts';

interface Options {
  jobs: number;
  idle: number;
}

/** One, and the number of jobs that the operator reconciles concurrently. */
const CONNECTIONS = [1, 4] as const;

async function main({ jobs, idle }: Options): Promise<void> {
  const missing = noControllers || noRedis;
  if (missing) throw new Error(missing);
  const here = machine();
  const folder = mkdtempSync(join(tmpdir(), 'fedbiot-bench-operator-'));
  try {
    const loops: { connections: number; seconds: number }[] = [];
    for (const connections of CONNECTIONS) {
      process.stderr.write(`a plain loop over ${connections} ${connections === 1 ? 'connection' : 'connections'}\n`);
      loops.push({ connections, seconds: await scoped((scope) => measurePlainLoop(scope, folder, jobs, connections)) });
    }
    process.stderr.write('the operator\n');
    const measurement = await scoped((scope) => measureOperator(scope, folder, jobs, idle));
    process.stdout.write(`${describeHost(here)}.${busyWarning(here)}\n\n${report(jobs, loops, measurement)}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function report(
  jobs: number,
  loops: readonly { connections: number; seconds: number }[],
  measurement: OperatorMeasurement,
): string {
  const { seconds, observations, requests, idleRequests, idleMinutes, processor, memory } = measurement;
  const times = loops.map((loop) => [
    `a plain loop, ${loop.connections} ${loop.connections === 1 ? 'connection' : 'connections'}`,
    loop.seconds.toFixed(1),
    `${(seconds / loop.seconds).toFixed(2)}×`,
  ]);
  const { controller_runtime_reconcile_time_seconds: reconciles, workqueue_queue_duration_seconds: waits } =
    observations;
  const own = requests.filter(isOfJobs);
  const parts = [
    table(
      [`${jobs} jobs at once: until all have their objects`, 'seconds', 'operator / loop'],
      [['the operator', seconds.toFixed(1), ''], ...times],
    ),
    table(
      ['the operator’s work', 'times', 'p50, ms', 'p99, ms', 'longest, ms'],
      [quantiles('reconcile', reconciles), quantiles('wait in the queue', waits)],
    ),
    table(
      ['requests to the API server', 'total', 'per job'],
      [
        ...counted(own).map(([request, count]) => [request, String(count), (count / jobs).toFixed(2)]),
        ['all', String(own.length), (own.length / jobs).toFixed(2)],
      ],
    ),
    table(
      [`once quiet, with ${jobs} jobs, over ${idleMinutes} minutes`, 'per minute'],
      [
        ...counted(idleRequests).map(([request, count]) => [request, (count / idleMinutes).toFixed(1)]),
        ['processor time, seconds', (processor.idleSeconds / idleMinutes).toFixed(2)],
      ],
    ),
    table(
      ['resident memory of the operator', 'without a job', `${jobs} jobs, once quiet`, `${idleMinutes} minutes later`],
      [['', formatBytes(memory.before), formatBytes(memory.quiet), formatBytes(memory.after)]],
    ),
    `Processor time until quiet: ${processor.busySeconds.toFixed(1)} s, ${((1000 * processor.busySeconds) / jobs).toFixed(0)} ms per job.\n`,
  ];
  return parts.join('\n');
}

/** Requests for leases and watches do not depend on the number of jobs. */
const isOfJobs = ({ resource, verb }: AuditedRequest): boolean =>
  resource !== 'leases' && verb !== 'watch' && verb !== 'list';

function quantiles(name: string, seconds: readonly number[]): string[] {
  const at = (part: number) => (1000 * quantile(seconds, part)).toFixed(1);
  return [name, String(seconds.length), at(0.5), at(0.99), at(1)];
}

/** Counts by verb and resource, with all watches as one, the most frequent first. */
function counted(requests: readonly AuditedRequest[]): [request: string, count: number][] {
  const groups = Map.groupBy(requests, ({ verb, resource }) => (verb === 'watch' ? verb : `${verb} ${resource}`));
  return [...groups].map(([request, { length }]): [string, number] => [request, length]).sort(([, a], [, b]) => b - a);
}

await main(
  new Command('bench:operator')
    .option('--jobs <n>', 'jobs applied at once', positiveInteger, 300)
    .option('--idle <minutes>', 'how long to watch the operator afterwards', positiveInteger, 3)
    .parse()
    .opts<Options>(),
);
