// Uncaught errors: those caused by one job are logged and counted, and the operator continues.
import { setImmediate as turn } from 'node:timers/promises';
import { Registry } from 'prom-client';
import t from 'tap';
import { aside } from '../../operator/process/aside.ts';
import { lastResort } from '../../operator/process/last-resort.ts';
import { LEASE_TIMES, LeaderElector } from '../../operator/leader/elector.ts';
import type { StoredLease } from '../../operator/leader/lease.ts';
import { createLog } from '../../operator/process/log.ts';
import { operatorMetrics } from '../../operator/metrics/operator-metrics.ts';
import { ManualClock, settled } from '../support/manual-clock.ts';

function logged() {
  const lines: string[] = [];
  return { lines, log: createLog('info', { write: (line) => void lines.push(line) }) };
}

t.test('an error of background work stays in the background', async (t) => {
  const { log, lines } = logged();
  const done: string[] = [];
  aside(log, () => {
    throw new Error('at once');
  });
  aside(log, () => Promise.reject(new Error('later')));
  aside(log, async () => void done.push('well'));
  aside(log, () => void done.push('at once'));
  await turn();
  t.strictSame(done, ['well', 'at once']);
  t.match(lines, [/at once/, /later/]);
  t.equal(lines.length, 2);
});

t.test('a value that background work returns is ignored', async (t) => {
  const { log, lines } = logged();
  const registry = new Registry();
  const { watch } = operatorMetrics(registry, { workers: 1, lease: 'lease' });
  // The counter behind it returns an object, although its type says void.
  aside(log, () => watch.restarted('pods'));
  await turn();
  t.strictSame(lines, []);
  t.match(await registry.metrics(), /^fedbiot_operator_watch_restarts_total\{resource="pods"\} 1$/m);
});

t.test('all errors are counted, and the first of each minute are logged', async (t) => {
  const { log, lines } = logged();
  const registry = new Registry();
  const { unhandled } = operatorMetrics(registry, { workers: 1, lease: 'lease' });
  t.match(await registry.metrics(), /^fedbiot_operator_unhandled_errors_total 0$/m);
  let now = 0;
  const thrown = lastResort(log, unhandled, () => now);
  for (let each = 1; each <= 100; each++) thrown(new Error(`trouble ${each}`));
  thrown('no error at all');
  t.match(await registry.metrics(), /^fedbiot_operator_unhandled_errors_total 101$/m);
  t.equal(lines.length, 21);
  t.match(lines, [/trouble 1"/]);
  t.match(lines.at(-1), /are counted, not logged/);
  now = 60_001;
  thrown(new Error('trouble again'));
  t.match(lines.at(-1), /trouble again/);
});

t.test('a replica that cannot lead gives up the lease', async (t) => {
  const { log, lines } = logged();
  const clock = new ManualClock();
  let lease: StoredLease | null = null;
  let lost = 0;
  const elector = new LeaderElector({
    store: {
      read: async () => lease,
      create: async (record) => (lease = { record, version: '1' }),
      replace: async (_version, record) => (lease = { record, version: '2' }),
    },
    identity: 'one',
    times: LEASE_TIMES,
    clock,
    now: () => 0,
    random: () => 0,
    log,
    elected() {
      throw new Error('the queue does not start');
    },
    lost: () => void lost++,
  });
  elector.start();
  await settled();
  t.equal(lost, 1, 'which ends the process');
  t.notOk(elector.leads());
  t.match(lines, [/the queue does not start/]);
  await elector.stop();
});
