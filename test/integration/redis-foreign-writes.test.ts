// Whatever somebody else writes under a job’s keys, no pod hangs without a message.
import { randomUUID } from 'node:crypto';
import t from 'tap';
import type { Test } from 'tap';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { openRedis } from '../../worker/transport/redis/connect.ts';
import { acquireFence, Fence } from '../../worker/transport/redis/fence.ts';
import { MAX_TASK_BYTES } from '../../worker/transport/redis/names.ts';
import { readBundle } from '../../worker/transport/redis/progress.ts';
import { CHUNK_BYTES } from '../../worker/transport/redis/chunks.ts';
import { RedisTensors } from '../../worker/transport/redis/tensors.ts';
import { connection, noRedis, startRedis } from '../support/redis.ts';
import { endsOf, forever, refuses, text } from '../support/data-plane.ts';
import { until } from '../support/until.ts';

/** A connection like those of the roles. */
function patientConnection(t: Test, url: string) {
  const redis = openRedis({ url });
  t.teardown(() => redis.disconnect());
  return redis;
}

t.test('values that somebody else wrote under a job’s keys', { skip: noRedis, timeout: 90_000 }, async (t) => {
  const { url } = await startRedis(t);
  const raw = connection(t, url);

  t.test('a fence that is not a token ends a server with a message, before and while it serves', async (t) => {
    const day = 24 * 3600 * 1000;
    for (const value of [
      '1e300',
      'text',
      String(2 ** 53 - 1),
      '-5',
      '1.5',
      '9'.repeat(400),
      String(Date.now() + 2 * day),
      '',
    ]) {
      const keys = jobKeys(randomUUID());
      await raw.set(keys.fence, value);
      await refuses(
        t,
        acquireFence(raw, keys),
        'stays',
        /something under fedbiot:\{.*\}:fence that no pod/,
        value.slice(0, 30),
      );
      await raw.del(keys.fence);
      const fence = await acquireFence(raw, keys);
      await raw.set(keys.fence, value);
      const isToken = /^\d{13,16}$/.test(value);
      if (isToken || value === '') await t.rejects(fence.check(), { name: 'Fenced' }, 'what may be a later server’s');
      else await refuses(t, fence.check(), 'stays', /that no pod/, value.slice(0, 30));
    }
    const keys = jobKeys(randomUUID());
    await raw.lpush(keys.fence, 'x');
    await refuses(t, acquireFence(patientConnection(t, url), keys), 'stays', /a value under a key of this job/);
    const { token } = await acquireFence(raw, jobKeys(randomUUID()));
    t.ok(Number.isSafeInteger(token) && token < Date.now() + 60_000, 'an honest one fits progress');
    t.equal(new Fence(raw, keys, token).token, token);
  });

  t.test('a queue that is paused or limited is reported, and does not hang a pod', async (t) => {
    for (const field of ['paused', 'concurrency', 'max']) {
      const { keys, client } = await endsOf(t, url);
      await raw.hset(`${keys.prefix}:tasks:meta`, field, 1);
      await refuses(t, client.take(forever), 'stays', /paused or limited the queue tasks/);
    }
  });

  t.test('invalid entries are skipped and counted, whatever they are; valid ones among them arrive', async (t) => {
    const uid = randomUUID();
    const { keys, server, client, heard, round, expected } = await endsOf(t, url, uid);
    const key = (id: string) => `${keys.prefix}:tasks:${id}`;
    const data = (length: number) => JSON.stringify({ header: 'x'.repeat(length) });
    await raw.hset(key('text'), { name: 'x', data: '{not json', opts: '{}' });
    await raw.hset(key('options'), { name: 'x', data: '{}', opts: 'no json either' });
    await raw.hset(key('large'), { name: 'x', data: data(8 * 1024 * 1024), opts: '{}' });
    await raw.hset(key('wide'), Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, 'x'])));
    await raw.hset(key('other'), { name: 'x', data: '{}', opts: '{}', returnvalue: 'x'.repeat(100_000) });
    await raw.lpush(key('list'), 'x');
    const ids = ['text', 'options', 'large', 'wide', 'other', 'list', 'absent', 'y'.repeat(500)];
    for (const id of ids) await raw.rpush(key('wait'), id);
    await raw.zadd(key('prioritized'), 1, 'text');
    await raw.zadd(key('delayed'), 1, 'text');

    const results = `${keys.prefix}:results:wait`;
    const name = `result-${randomUUID()}`;
    await raw.lpush(`${keys.tensors}:${name}:header`, 'no string');
    const lines = ['', 'text', `${name} 1e9 x`, `${name} 1 ${'0'.repeat(64)}`, 'x'.repeat(8 * 1024 * 1024)];
    for (const line of lines) await raw.lpush(results, line);
    const sent = async () => Number(/total_net_output_bytes:(\d+)/.exec(await raw.info('stats'))?.[1]);
    const before = await sent();
    for (const line of lines) {
      const refused = await server.receive(forever);
      const reason = line.length === name.length + 67 ? 'wrong-digest' : 'malformed';
      await t.rejects(async () => void (await refused?.read()), { name: 'Refused', reason }, line.slice(0, 60));
    }
    t.ok((await sent()) - before < 1024 * 1024, 'Redis has sent little of them');
    t.strictSame(await round(0), expected(0));
    t.ok(
      heard.some((line) => new RegExp(`${ids.length} invalid entries were removed from the task queue`).test(line)),
      heard.join('\n'),
    );
    t.equal(await raw.exists(key('large'), key('prioritized'), key('delayed')), 0, 'and they are gone');
    t.equal(await raw.llen(key('active')), 0, 'none is held');
    t.ok(MAX_TASK_BYTES < 8 * 1024 * 1024);
    await client.close();
  });

  t.test('what rings a bell is not read if it is large', async (t) => {
    const { keys, heard, server, client } = await endsOf(t, url);
    const taking = client.take(forever);
    const sent = async () => Number(/total_net_output_bytes:(\d+)/.exec(await raw.info('stats'))?.[1]);
    const before = await sent();
    await raw.zadd(`${keys.prefix}:tasks:marker`, 0, 'x'.repeat(256 * 1024 * 1024));
    await until('it is reported', 20, () =>
      heard.some((line) => /held more than a job writes/.test(line)) ? true : null,
    );
    t.ok((await sent()) - before < 64 * 1024 * 1024, 'most of it was not sent');
    await server.dispatch({ job: 'job', round: 1, attempt: 1, client: 3, sha256: '', bytes: 0 });
    t.equal((await taking)?.task.client, 3);
  });

  t.test('a flooded queue', async (t) => {
    const { keys, server } = await endsOf(t, url);
    const key = `${keys.prefix}:results:wait`;
    for (let i = 0; i < 101; i++) await raw.rpush(key, ...Array.from({ length: 1000 }, (_, n) => `${i}-${n}`));
    await refuses(t, server.receive(forever), 'stays', /queue results of the job in Redis has 101000 entries/);
  });

  t.test('a payload that is longer than announced is not read', async (t) => {
    const keys = jobKeys(randomUUID());
    const tensors = new RedisTensors(raw, keys, 60);
    const bytes = text('twenty kilobytes');
    await tensors.write('x', { bytes, sha256: sha256(bytes) }, await acquireFence(raw, keys));
    await raw.set(`${keys.tensors}:x:0`, Buffer.alloc(64 * 1024 * 1024));
    const sent = async () => Number(/total_net_output_bytes:(\d+)/.exec(await raw.info('stats'))?.[1]);
    const before = await sent();
    const read = () => tensors.read('x', { bytes: bytes.byteLength, sha256: sha256(bytes) }, 'x', 'late');
    await t.rejects(read(), { name: 'Refused', reason: 'wrong-digest', message: /chunk 0 has more bytes, not 16/ });
    t.ok((await sent()) - before < 1024 * 1024, 'Redis has sent little of it');
    await raw.set(`${keys.tensors}:x`, Buffer.alloc(64 * 1024 * 1024, ' '));
    await t.rejects(read(), { name: 'Refused', reason: 'wrong-digest', message: /manifest/ });
    t.ok((await sent()) - before < 1024 * 1024, 'nor of its manifest');
    const patientTensors = new RedisTensors(patientConnection(t, url), keys, 60);
    await raw.del(`${keys.tensors}:x`);
    await raw.lpush(`${keys.tensors}:x`, 'a list');
    await t.rejects(patientTensors.read('x', { bytes: 1, sha256: sha256(bytes) }, 'x', 'late'), {
      name: 'Refused',
      reason: 'wrong-digest',
    });
    t.ok(CHUNK_BYTES < 64 * 1024 * 1024);
  });

  t.test('an invalid bundle is reported, and not waited for', async (t) => {
    const keys = jobKeys(randomUUID());
    t.equal(await readBundle(raw, keys), null);
    for (const value of ['no json', '{"sha256":"x","bytes":1}', 'x'.repeat(10_000)]) {
      await raw.set(keys.bundle, value);
      await refuses(t, readBundle(raw, keys), 'stays', /something under fedbiot:\{.*\}:bundle/);
    }
  });
});
