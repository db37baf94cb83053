import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { SYSTEM } from '../../test/support/chart.ts';
import type { OperatorLab } from '../../test/support/operator-lab.ts';
import type { OperatorProcess } from '../../test/support/operator-process.ts';
import { startRedis } from '../../test/support/redis.ts';
import { requestsOf } from './audit.ts';
import type { AuditedRequest } from './audit.ts';
import { OBSERVATIONS_FILE, readObservations } from './observations.ts';
import type { Observations } from './observations.ts';
import { inParallel } from './parallel.ts';
import { NAMESPACE, QUIET_MS, startQuietLab } from './quiet-lab.ts';
import type { Scope } from './scope.ts';

const USER = `system:serviceaccount:${SYSTEM}:fedbiot-operator`;

/** Number of connections that apply the jobs. */
const APPLYING = 8;

export interface OperatorMeasurement {
  /** From the first job's creation to the response for the last object. */
  readonly seconds: number;
  readonly observations: Observations;
  /** Until the operator was idle. */
  readonly requests: readonly AuditedRequest[];
  readonly idleRequests: readonly AuditedRequest[];
  readonly idleMinutes: number;
  readonly processor: { readonly busySeconds: number; readonly idleSeconds: number };
  /** Resident bytes without a job, once idle, and at the end of the idle time. */
  readonly memory: { readonly before: number; readonly quiet: number; readonly after: number };
}

/** Runs the operator as a process with its own account, a lease and Redis, and applies all jobs at once. */
export async function measureOperator(
  scope: Scope,
  folder: string,
  jobs: number,
  idleMinutes: number,
): Promise<OperatorMeasurement> {
  const auditLog = join(folder, 'audit.log');
  const observations = join(folder, 'observations.json');
  const redis = await startRedis(scope);
  const lab = await startQuietLab(scope, auditLog);
  const operator = await lab.operator(redis.url, {
    args: ['--log-level', 'info'],
    environment: {
      NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, 'observe.ts'))}`,
      [OBSERVATIONS_FILE]: observations,
    },
  });
  await operator.logged('this replica leads');
  await sleep(QUIET_MS);
  const before = await reading(operator);

  const began = Date.now();
  await inParallel(jobs, APPLYING, (index) => lab.createJob(NAMESPACE, `job-${index}`));
  process.stderr.write(`${jobs} jobs applied\n`);
  await untilQuiet(operator);
  await check(lab, jobs);
  const quietAt = Date.now();
  const quiet = await reading(operator);

  process.stderr.write(`the operator is idle; watching it for ${idleMinutes} minutes\n`);
  await sleep(idleMinutes * 60_000);
  const endedAt = Date.now();
  const after = await reading(operator);
  const code = await operator.end('SIGTERM');
  if (code !== 0) throw new Error(`the operator ended with ${code}:\n${operator.output}`);

  const all = await requestsOf(USER, auditLog);
  const between = (from: number, to: number) => all.filter(({ received }) => received >= from && received < to);
  const requests = between(began, quietAt);
  const made = requests.filter(
    ({ verb, namespace, resource }) => verb === 'create' && namespace === NAMESPACE && resource !== 'events',
  );
  return {
    seconds: (Math.max(...made.map(({ answered }) => answered)) - began) / 1000,
    observations: readObservations(observations),
    requests,
    idleRequests: between(quietAt, endedAt),
    idleMinutes,
    processor: {
      busySeconds: quiet.processorSeconds - before.processorSeconds,
      idleSeconds: after.processorSeconds - quiet.processorSeconds,
    },
    memory: { before: before.bytes, quiet: quiet.bytes, after: after.bytes },
  };
}

async function untilQuiet(operator: OperatorProcess): Promise<void> {
  let before = -1;
  for (;;) {
    const added = await metric(operator, 'workqueue_adds_total{name="fedbiotjob"}');
    if (added === before) return;
    before = added;
    await sleep(QUIET_MS);
  }
}

async function check(lab: OperatorLab, jobs: number): Promise<void> {
  const names = await lab.kubectl('get', 'jobs.batch', '--namespace', NAMESPACE, '--output', 'name');
  const made = names.trim().split('\n').length;
  if (made !== 2 * jobs) throw new Error(`the operator created ${made} of ${2 * jobs} Jobs`);
}

async function reading(operator: OperatorProcess): Promise<{ bytes: number; processorSeconds: number }> {
  return {
    bytes: await metric(operator, 'process_resident_memory_bytes'),
    processorSeconds: await metric(operator, 'process_cpu_seconds_total'),
  };
}

async function metric(operator: OperatorProcess, series: string): Promise<number> {
  const value = await operator.metric(series);
  if (value === null) throw new Error(`the operator exports no ${series}`);
  return value;
}
