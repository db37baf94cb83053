// How worker pods end, with which messages, and what no log and no message may contain.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { readProgress } from '../../operator/progress/read-json.ts';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { formatBytes } from '../../worker/report/format.ts';
import { acquireFence } from '../../worker/transport/redis/fence.ts';
import { memoryGroup, noMemoryGroup } from '../support/memory-group.ts';
import { JobPods, runWholeJob } from '../support/pods.ts';
import type { RunningPod } from '../support/pods.ts';
import { connection, freePort, noRedis, startRedis } from '../support/redis.ts';
import { sampleEvents } from '../support/sample-run.ts';

const PASSWORD = 'open-sesame-1234';

t.test('roles in pods', { skip: noRedis, timeout: 600_000 }, async (t) => {
  const redis = await startRedis(t, { password: PASSWORD });
  const host = redis.url.split('@')[1] ?? '';
  const endsWith = async (t: Test, pod: RunningPod, code: number, reason: string, message: RegExp) => {
    const { output, termination, ...ended } = await pod.ended;
    t.equal(ended.code, code, `exit code\n${output}`);
    t.match(JSON.parse(termination), { reason, message });
    return { output, termination };
  };

  t.test('another server takes over: the first ends, and writes nothing more', async (t) => {
    const job = await JobPods.create(t, redis.url);
    // A separate address, as each pod has: both listen for a moment.
    const first = await job.start('server', {
      context: { ports: { bundle: await freePort(), metrics: await freePort() } },
    });
    await first.says(/phase begins/, { phase: 'local' });
    const raw = connection(t, redis.url);
    const second = await job.start('server');
    await endsWith(t, first, 130, 'Interrupted', /taken over/);
    await second.says(/continues in round 1/);
    const client = await job.start('client');
    await client.ended;
    t.equal((await second.ended).code, 0);
    t.match(await readProgress(raw, job.uid), {
      phase: 'Finished',
      finishedRounds: 3,
      adapterSha256: job.adapterSha256(),
    });
    t.equal(JSON.parse((await raw.get(jobKeys(job.uid).report)) ?? '{}').adapterSha256, job.adapterSha256());
  });

  t.test('a server that loses its fence while it waits for clients ends by itself', async (t) => {
    const job = await JobPods.create(t, redis.url);
    const server = await job.start('server');
    await server.says(/phase begins/, { phase: 'local' });
    await acquireFence(connection(t, redis.url), jobKeys(job.uid));
    await endsWith(t, server, 130, 'Interrupted', /fencing token \d+, the job's is \d+/);
  });

  t.test('input that no pod can use fails the job at once, with a message that names it', async (t) => {
    const job = await JobPods.create(t, redis.url);
    await endsWith(
      t,
      await job.start('server', { spec: { adapter: { layers: 40 } } }),
      2,
      'InvalidInput',
      /40 adapter layers do not fit: the model has 12/,
    );
    t.notOk(existsSync(join(job.output, 'metrics.jsonl')), 'nothing was begun');
    await endsWith(t, await job.start('server', { spec: { rounds: 3 } }), 2, 'InvalidInput', /rounds: unknown field/);
    await endsWith(
      t,
      await job.start('client', { variables: { FEDBIOT_JOB_UID: '' } }),
      2,
      'InvalidInput',
      /FEDBIOT_JOB_UID: it is not set/,
    );
  });

  t.test('a server pod that refuses to start has published its plan', { skip: noMemoryGroup }, async (t) => {
    const job = await JobPods.create(t, redis.url);
    const reached = sampleEvents(2).map((event) => `${JSON.stringify(event)}\n`);
    writeFileSync(join(job.output, 'metrics.jsonl'), reached.join(''));
    const server = await job.start('server', {
      spec: { emulator: { layerDropRate: 0.5, alignment: { initialSteps: 6, batchSize: 512 } } },
      setup: memoryGroup(t, 'refused', 400 * 2 ** 20),
    });
    const message = /this server pod needs about ([\d.]+ GiB) of memory, but its limit is 400 MiB/;
    const { termination } = await endsWith(t, server, 2, 'InvalidInput', message);
    const progress = await readProgress(connection(t, redis.url), job.uid);
    t.match(progress, { memory: { client: Number }, finishedRounds: 2 }, 'with what earlier pods had reached');
    t.equal(formatBytes(progress?.memory?.server ?? 0), message.exec(termination)?.[1]);
  });

  t.test('a quorum that no round reaches, and a loss that is not finite, have reasons of their own', async (t) => {
    const rare = await JobPods.create(t, redis.url);
    const federation = { rounds: 1, clients: 2, local: { steps: 2 } };
    const quorum = { spec: { federation: { ...federation, dropoutRate: 0.99, quorum: 2, maxRoundRetries: 1 } } };
    await endsWith(t, await rare.start('server', quorum), 2, 'QuorumNotReached', /the quorum is 2/);

    const wild = await JobPods.create(t, redis.url);
    const spec = {
      federation: { ...federation, local: { steps: 10, optimizer: { kind: 'SGD', learningRate: 1000, clipNorm: 0 } } },
    };
    const server = await wild.start('server', { spec });
    const client = await wild.start('client', { spec });
    await endsWith(t, server, 2, 'NotFinite', /round 1, client \d: .*(NaN|Infinity)/);
    client.kill('SIGTERM');
    await endsWith(t, client, 130, 'Interrupted', /told to stop/);
  });

  t.test(
    'a Redis that refuses is reported at once, one that does not answer after a while; a secret never',
    async (t) => {
      const job = await JobPods.create(t, redis.url);
      const wrong = `redis://:wrong-${PASSWORD}@${host}`;
      const outputs = await Promise.all([
        endsWith(
          t,
          await job.start('server', { variables: { FEDBIOT_REDIS_URL: wrong } }),
          2,
          'RedisUnusable',
          /refuses the user or password/,
        ),
        endsWith(
          t,
          await job.start('client', { variables: { FEDBIOT_REDIS_URL: wrong } }),
          2,
          'RedisUnusable',
          /refuses the user or password/,
        ),
        endsWith(
          t,
          await job.start('server', { variables: { FEDBIOT_REDIS_URL: `redis://:${PASSWORD}%@${host}` } }),
          2,
          'RedisUnusable',
          /% in the user or password/,
        ),
        endsWith(
          t,
          await job.start('client', {
            variables: { FEDBIOT_REDIS_URL: `redis://:${PASSWORD}@127.0.0.1:1` },
            context: { redisPatienceMs: { server: 500, client: 500 } },
          }),
          69,
          'RedisUnusable',
          /cannot be reached.*ECONNREFUSED/,
        ),
      ]);
      for (const { output, termination } of outputs) {
        for (const secret of [PASSWORD, job.token]) t.notMatch(`${output}${termination}`, secret);
      }
      t.match(outputs[3]?.output, /trying again/);
    },
  );

  t.test('a replica is reported at the start, and may become a master', async (t) => {
    const replica = await startRedis(t);
    await connection(t, replica.url).replicaof('127.0.0.1', new URL(redis.url).port);
    const job = await JobPods.create(t, replica.url);
    const context = { redisPatienceMs: { server: 500, client: 500 } };
    await Promise.all(
      (['server', 'client'] as const).map(async (role) =>
        endsWith(
          t,
          await job.start(role, { context }),
          69,
          'RedisUnusable',
          /is a replica, which accepts no writes\. Give the address of the master/,
        ),
      ),
    );
  });

  t.test(
    'a Redis that takes nothing for a while, in the middle of a round, is waited for; the adapter is the same',
    async (t) => {
      const own = await startRedis(t);
      const admin = connection(t, own.url);
      const job = await JobPods.create(t, own.url);
      const [server, client] = [await job.start('server'), await job.start('client')];
      await client.says(/training for a client/);
      await admin.config('SET', 'maxmemory', '1');
      // The server waits for a result, and writes nothing meanwhile.
      await client.says(/has no memory left for what a job writes \(OOM\); trying again/);
      await admin.config('SET', 'maxmemory', '0');
      await client.says(/accepts commands again/);
      for (const pod of [server, client]) t.equal((await pod.ended).code, 0);
      t.equal(job.adapterSha256(), await runWholeJob(t.testdir()));
    },
  );

  t.test('a client whose token is wrong gets no bundle', async (t) => {
    const job = await JobPods.create(t, redis.url);
    const server = await job.start('server');
    const stranger = await job.start('client', { variables: { FEDBIOT_JOB_TOKEN: 'the-token-of-another-job' } });
    const { output } = await endsWith(t, stranger, 69, 'TokenRefused', /refuses the token/);
    t.notMatch(output, 'the-token-of-another-job');
    server.kill('SIGTERM');
    const ended = await server.ended;
    t.equal(ended.code, 130);
    const everything = `${ended.output}${ended.termination}${readFileSync(join(job.output, 'metrics.jsonl'), 'utf8')}`;
    for (const secret of [PASSWORD, job.token]) t.notMatch(everything, secret);
  });

  t.test('a pod that is stopped while it waits ends at once', async (t) => {
    const job = await JobPods.create(t, redis.url);
    const client = await job.start('client');
    await client.says(/waiting for the server/);
    client.kill('SIGTERM');
    await endsWith(t, client, 130, 'Interrupted', /told to stop/);
    const server = await job.start('server', { variables: { FEDBIOT_REDIS_URL: 'redis://127.0.0.1:1' } });
    await server.says(/trying again/);
    server.kill('SIGTERM');
    await endsWith(t, server, 130, 'Interrupted', /told to stop/);
  });
});
