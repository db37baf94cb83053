// Every key of a job expires by itself, and none before the job needs it no more.
import { mock } from 'node:test';
import t from 'tap';
import type { Redis } from 'ioredis';
import { KEYS_TTL_SECONDS } from '../../worker/cluster/redis-keys.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { Fence } from '../../worker/transport/redis/fence.ts';
import { RedisProgress } from '../../worker/transport/redis/progress.ts';
import { endsOf, forever, text } from '../support/data-plane.ts';
import { connection, noRedis, startRedis } from '../support/redis.ts';
import { sampleProgress } from '../support/sample-progress.ts';
import { until } from '../support/until.ts';

const round = { job: 'job', round: 1, attempt: 1 };
const sealed = { bytes: text('package'), sha256: sha256(text('package')) };
const task = (client: number) => ({ ...round, client, sha256: sealed.sha256, bytes: 7 });
const result = { header: '{}', payload: text('trained'), sha256: sha256(text('trained')) };

/** The job's keys after its prefix, each with its TTL in seconds. */
async function ttlsOf(redis: Redis, prefix: string): Promise<Record<string, number>> {
  const keys = (await redis.keys(`${prefix}:*`)).sort();
  return Object.fromEntries(
    await Promise.all(keys.map(async (key) => [key.slice(prefix.length + 1), await redis.ttl(key)] as const)),
  );
}

t.test('the keys of a job', { skip: noRedis, timeout: 60_000 }, async (t) => {
  const { url } = await startRedis(t);
  const raw = connection(t, url);

  t.test('each has a TTL, whatever the job does, and no events are kept', async (t) => {
    const { keys, redis, token, server, client } = await endsOf(t, url);
    const seen = new Set<string>();
    const look = async (when: string) => {
      const ttls = await ttlsOf(raw, keys.prefix);
      for (const [key, ttl] of Object.entries(ttls)) {
        t.ok(ttl > 0 && ttl <= KEYS_TTL_SECONDS, `${when}: ${key} expires in ${ttl} s`);
        seen.add(key.replace(/result-[0-9a-f-]{36}/, 'result-ID'));
      }
    };
    const progress = new RedisProgress(redis, keys, new Fence(redis, keys, token), 'lab/job');
    await progress.announceBundle({ sha256: sealed.sha256, bytes: 7 });
    await progress.write(sampleProgress());
    await server.publish(round, sealed);
    for (const number of [0, 1, 2]) await server.dispatch(task(number));
    await look('tasks wait');
    const [first, second] = [await client.take(forever), await client.take(forever)];
    await look('tasks are worked on');
    await client.submit(first!, result);
    await look('a result waits');
    const arrival = await server.receive(forever);
    await look('it was taken');
    await arrival!.read();
    await client.submit(second!, result);
    await (await server.receive(forever))!.read();
    await look('it was read');
    await server.unlink(round);
    await progress.writeReport('{}');
    await progress.markFinished();
    await client.close();
    await look('the job has ended');
    for (const name of [
      'bundle',
      'ended:1-1',
      'fence',
      'finished',
      'progress',
      'report',
      'results:wait',
      'taken',
      'tasks:1-1-0',
      'tasks:active',
      'tasks:id',
      'tasks:marker',
      'tasks:meta',
      'tasks:wait',
      'tensors:result-ID:0',
      'tensors:result-ID:header',
      'tensors:round-1-1',
      'tensors:round-1-1:0',
    ])
      t.ok(seen.has(name), `${name} was there`);
    t.notOk(seen.has('tasks:events'));
  });

  t.test('a server renews what its job needs, once an hour', async (t) => {
    mock.timers.enable({ apis: ['setInterval'] });
    t.teardown(() => mock.timers.reset());
    const { keys, server, client } = await endsOf(t, url);
    await server.publish(round, sealed);
    for (const number of [0, 1]) await server.dispatch(task(number));
    await client.submit((await client.take(forever))!, result);
    const needed = async () =>
      Object.entries(await ttlsOf(raw, keys.prefix)).filter(([name]) => !/:lock$|stalled-check|:result-/.test(name));
    const names = (await needed()).map(([name]) => name);
    for (const name of ['fence', 'results:wait', 'tasks:1-1-1', 'tasks:wait', 'tensors:round-1-1:0'])
      t.ok(names.includes(name), name);
    for (const name of names) await raw.expire(`${keys.prefix}:${name}`, 1000);
    mock.timers.tick(3600 * 1000);
    await until(
      'all are renewed',
      10,
      async () => ((await needed()).every(([, ttl]) => ttl > 1000) ? true : null),
      needed,
    );
  });
});
