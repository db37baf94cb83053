// A job in separate pods, over a real Redis, gives the adapter of `fedbiot run` to the byte, whichever process is
// killed.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import t from 'tap';
import type { Test } from 'tap';
import { readProgress } from '../../operator/progress/read-json.ts';
import { readReportJson } from '../../worker/report/report-files.ts';
import { readEvents } from '../../worker/run/recorder.ts';
import { JobPods, runWholeJob } from '../support/pods.ts';
import type { RunningPod } from '../support/pods.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { Scrape } from '../support/scrape.ts';

const scrape = async ({ ports }: RunningPod) =>
  new Scrape(await (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text());

const noProc = existsSync('/proc/self/status') ? false : 'SKIPPED: no /proc, which tells whose child a process is';

t.test('roles in pods', { skip: noRedis, timeout: 600_000 }, async (t) => {
  const expected = await runWholeJob(t.testdir());

  const pods = async (t: Test, aof = false) => {
    const redis = await startRedis(t, { aof, password: 'a password of this test' });
    return { redis, job: await JobPods.create(t, redis.url) };
  };
  const succeeded = async (t: Test, job: JobPods, ...running: readonly RunningPod[]) => {
    for (const pod of running) {
      const { code, signal, termination, output } = await pod.ended;
      if (code !== 0 || signal !== null) t.fail(`a pod ended with ${code ?? signal}:\n${output}`);
      t.match(JSON.parse(termination), { reason: 'Succeeded' });
    }
    t.equal(job.adapterSha256(), expected);
  };

  t.test('one server, two client pods, one of which trains two clients at a time', async (t) => {
    const { job, redis } = await pods(t);
    const server = await job.start('server');
    const clients = await Promise.all([
      job.start('client'),
      job.start('client', { spec: { client: { parallelClients: 2 } } }),
    ]);
    await server.says(/phase begins/, { phase: 'align' });
    await server.says(/the round has ended/, { round: 2 });
    for (const { ports } of [server, ...clients])
      t.equal((await fetch(`http://127.0.0.1:${ports.metrics}/readyz`)).status, 200, 'ready');
    const series = await scrape(server);
    t.equal(series.value('fedbiot_round', { namespace: 'lab', job: 'pods' }), 2);
    for (const queue of ['tasks', 'results'])
      t.ok((series.value('fedbiot_queue_jobs', { queue }) ?? -1) >= 0, `what waits in ${queue}`);
    for (const role of ['server', 'client']) {
      t.ok((series.value('fedbiot_cpu_seconds_total', { role }) ?? 0) > 0, `the ${role}'s processor time`);
      t.ok((series.value('fedbiot_peak_memory_bytes', { role }) ?? 0) > 2 ** 20, `the ${role}'s memory`);
    }
    const theirs = await Promise.all(clients.map(scrape));
    const answered = theirs.map(
      (client) => client.value('fedbiot_client_tasks_total', { outcome: 'answered' }) ?? Number.NaN,
    );
    t.ok(answered.reduce((a, b) => a + b, 0) >= 4, `clients answered ${answered.join(' + ')} tasks`);
    t.ok((theirs[0]?.value('fedbiot_client_bundle_bytes') ?? 0) > 10);
    await succeeded(t, job, server, ...clients);

    const { cost, rounds } = await readReportJson(job.output);
    const steps = readEvents(join(job.output, 'metrics.jsonl')).filter((event) => event.event === 'step');
    for (const [role, phase] of [
      ['server', 'align'],
      ['clients', 'local'],
    ] as const) {
      const trained = steps.reduce((sum, step) => sum + (step.phase === phase ? step.tokens : 0), 0);
      t.match(cost?.[role], { tokens: trained, gpuSeconds: 0 }, `${role}: the tokens of its steps`);
      t.ok(
        cost![role].cpuSeconds > 0.1 && cost![role].cpuSeconds < 600,
        `${role}: ${cost![role].cpuSeconds} s of processors`,
      );
      t.ok(cost![role].peakMemoryBytes > 100e6, `${role}: ${cost![role].peakMemoryBytes} bytes, in both its processes`);
    }
    t.ok(rounds.every((round) => round.cost!.clients.cpuSeconds > 0));
    const raw = new Redis(redis.url);
    t.teardown(() => raw.disconnect());
    t.same((await readProgress(raw, job.uid))?.cost, cost, 'the operator hears of it');

    const again = await job.start('server');
    await again.says(/finished by an earlier pod/);
    await succeeded(t, job, again);
    const late = await job.start('client');
    await succeeded(t, job, late);
  });

  t.test('the server is killed in a round, and another continues', async (t) => {
    const { job } = await pods(t);
    const server = await job.start('server');
    const clients = await Promise.all([job.start('client'), job.start('client')]);
    await server.says(/has reported/, { round: 2 });
    server.kill('SIGKILL');
    t.equal((await server.ended).signal, 'SIGKILL');
    // As for a pod with another host name, which cannot check whether the lock's owner is alive.
    const lock = join(job.output, 'run.lock');
    writeFileSync(lock, readFileSync(lock, 'utf8').replace(/"host":"[^"]*"/, '"host":"the-pod-before"'));
    const next = await job.start('server');
    await next.says(/continues in round/);
    t.ok(
      ((await scrape(next)).value('fedbiot_delta_bytes_total', { direction: 'up' }) ?? 0) > 0,
      'what was counted before counts',
    );
    await succeeded(t, job, next, ...clients);
  });

  t.test('a client pod is killed while it trains, and another pod takes its task', async (t) => {
    const { job } = await pods(t);
    const server = await job.start('server');
    const doomed = await job.start('client');
    const other = await job.start('client');
    const { round, client } = await doomed.says(/training for a client/);
    doomed.kill('SIGKILL');
    await other.says(/training for a client/, { round, client });
    await succeeded(t, job, server, other);
  });

  t.test('the server is stopped, and another continues', async (t) => {
    const { job } = await pods(t);
    const server = await job.start('server');
    const clients = await Promise.all([job.start('client'), job.start('client')]);
    await server.says(/has reported/, { round: 1 });
    server.kill('SIGTERM');
    const { code, termination } = await server.ended;
    t.equal(code, 130);
    t.match(JSON.parse(termination), { reason: 'Interrupted', message: /in round \d, and a checkpoint was written/ });
    const next = await job.start('server');
    await next.says(/continues in round/);
    await succeeded(t, job, next, ...clients);
  });

  t.test('a client pod is stopped, and its task goes to another at once', async (t) => {
    const { job } = await pods(t);
    const server = await job.start('server');
    const leaving = await job.start('client', { context: { lockMs: 600_000 } });
    await leaving.says(/training for a client/);
    leaving.kill('SIGTERM');
    const { code, termination } = await leaving.ended;
    t.equal(code, 130);
    t.match(JSON.parse(termination), { reason: 'Interrupted' });
    await succeeded(t, job, server, await job.start('client', { context: { lockMs: 600_000 } }));
  });

  t.test(
    'the process that computes for a client pod is killed: the pod ends, and another takes its task',
    { skip: noProc },
    async (t) => {
      const { job } = await pods(t);
      const server = await job.start('server');
      const doomed = await job.start('client');
      const { round, client } = await doomed.says(/training for a client/);
      t.equal(doomed.killComputes(), 1);
      const { code, termination } = await doomed.ended;
      t.equal(code, 1);
      t.match(JSON.parse(termination), {
        reason: 'SystemFailure',
        message: /the compute process (was killed by SIGKILL|cannot be reached)/,
      });
      const other = await job.start('client');
      await other.says(/training for a client/, { round, client });
      await succeeded(t, job, server, other);
    },
  );

  t.test('server and client are stopped while Redis is down', async (t) => {
    const { job, redis } = await pods(t, true);
    const before = [await job.start('server'), await job.start('client')];
    await before[0]?.says(/has reported/, { round: 2 });
    await redis.kill();
    for (const pod of before) pod.kill('SIGTERM');
    for (const pod of before) t.equal((await pod.ended).code, 130);
    await redis.restart();
    const after = await Promise.all([job.start('server'), job.start('client')]);
    await after[0]?.says(/continues in round/);
    await succeeded(t, job, ...after);
  });

  t.test('Redis loses its data in a round: the server exits, and the next one restarts the round', async (t) => {
    const { job, redis } = await pods(t);
    const server = await job.start('server');
    const clients = await Promise.all([job.start('client'), job.start('client')]);
    await clients[0]?.says(/training for a client/, { round: 2 });
    // So that the round cannot end before Redis restarts.
    for (const client of clients) client.kill('SIGSTOP');
    await redis.restart();
    for (const client of clients) client.kill('SIGCONT');
    const { code, termination } = await server.ended;
    t.equal(code, 130);
    t.match(JSON.parse(termination), { reason: 'Interrupted', message: /gone from Redis/ });
    await succeeded(t, job, await job.start('server'), ...clients);
  });

  t.test('Redis is restarted in a round', async (t) => {
    const { job, redis } = await pods(t, true);
    const server = await job.start('server');
    const clients = await Promise.all([job.start('client'), job.start('client')]);
    await server.says(/has reported/, { round: 2 });
    await redis.restart();
    await succeeded(t, job, server, ...clients);
  });
});
