// A Redis that answers and does not do what it is asked: what passes is waited for, what stays is told at the start,
// and what somebody else wrote under a job's keys stops no pod in silence.
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import t from 'tap';
import type { Test } from 'tap';
import { Redis } from 'ioredis';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { RedisClientTransport } from '../../worker/transport/redis/client.ts';
import { checkRedis, openRedis } from '../../worker/transport/redis/connect.ts';
import { acquireFence, Fence } from '../../worker/transport/redis/fence.ts';
import { MAX_TASK_BYTES } from '../../worker/transport/redis/names.ts';
import { patient } from '../../worker/transport/redis/patience.ts';
import { readBundle } from '../../worker/transport/redis/progress.ts';
import { RedisServerTransport } from '../../worker/transport/redis/server.ts';
import { RedisUnreachable } from '../../worker/transport/redis/unusable.ts';
import { CHUNK_BYTES, RedisTensors } from '../../worker/transport/redis/tensors.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const SECONDS = 20;
const forever = new AbortController().signal;
const text = (says: string) => new TextEncoder().encode(says);
const round = { job: 'job', round: 1, attempt: 1 };
const task = (client: number) => ({ ...round, client, sha256: sha256(text('package')), bytes: 7 });

/** How Redis is refused: for as long as nobody changes it, or for now. */
async function refuses(
  t: Test,
  call: Promise<unknown>,
  lasts: 'stays' | 'passes',
  message: RegExp,
  what = String(message),
): Promise<void> {
  const error = await call.then(
    () => null,
    (error: unknown) => error,
  );
  t.match(error, { name: 'RedisUnusable', message, hint: /./ }, what);
  t.equal(error instanceof RedisUnreachable, lasts === 'passes', what);
}

/** A connection as roles have it. */
function patientConnection(t: Test, url: string) {
  const redis = openRedis({ url });
  t.teardown(() => redis.disconnect());
  return redis;
}

function connection(t: Test, url: string): Redis {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  redis.on('error', () => undefined);
  t.teardown(() => redis.disconnect());
  return redis;
}

/** Both ends of a job's data plane, and what they say of Redis. */
async function endsOf(t: Test, url: string, uid: string = randomUUID(), maxHeaderBytes = 4096) {
  const heard: string[] = [];
  const listener = {
    refused: (message: string) => void heard.push(message),
    taken: () => void heard.push('taken'),
    failed: (error: Error) => void heard.push(error.message),
  };
  const keys = jobKeys(uid);
  const redis = openRedis({ url }, listener);
  t.teardown(() => redis.disconnect());
  const { token } = await acquireFence(redis, keys);
  const server = new RedisServerTransport({ url }, keys, token, { listener, maxHeaderBytes });
  const client = new RedisClientTransport({ url }, keys, { listener, maxHeaderBytes });
  t.teardown(() => server.close());
  t.teardown(() => client.close());
  /** All that a round asks of Redis, once. */
  const round1 = async (number: number) => {
    await server.publish(round, { bytes: text('package'), sha256: sha256(text('package')) });
    await server.dispatch(task(number));
    const delivery = await client.take(forever);
    if (delivery === null) throw new Error('no task');
    const roundPackage = await client.fetch(delivery.task);
    await client.submit(delivery, {
      header: `{"n":${number}}`,
      payload: text('trained'),
      sha256: sha256(text('trained')),
    });
    const arrival = await server.receive(forever);
    const payload = await arrival?.read();
    return [Buffer.from(roundPackage).toString(), arrival?.header, Buffer.from(payload ?? []).toString()];
  };
  return {
    heard,
    keys,
    redis,
    server,
    client,
    round: round1,
    expected: (n: number) => ['package', `{"n":${n}}`, 'trained'],
  };
}

t.test('a Redis that refuses for now', { skip: noRedis, timeout: 90_000 }, async (t) => {
  /** A round that begins while Redis refuses ends once it does no more. */
  async function waitsFor(
    t: Test,
    url: string,
    says: RegExp,
    refuse: (admin: Redis) => Promise<unknown>,
    mend: (admin: Redis) => Promise<unknown>,
  ) {
    const { heard, round, expected } = await endsOf(t, url);
    const admin = connection(t, url);
    t.strictSame(await round(0), expected(0));
    t.strictSame(heard, []);
    await refuse(admin);
    const going = round(1);
    await until(
      `refused twice: ${says}`,
      SECONDS,
      () => (heard.filter((line) => says.test(line)).length >= 2 ? true : null),
      () => heard,
    );
    await mend(admin);
    t.strictSame(await going, expected(1));
    await until(
      'the command is taken',
      SECONDS,
      () => (heard.includes('taken') ? true : null),
      () => heard,
    );
  }

  t.test('its memory is full', async (t) => {
    const { url } = await startRedis(t);
    await waitsFor(
      t,
      url,
      /has no memory left.*trying again.*maxmemory/,
      (admin) => admin.config('SET', 'maxmemory', '1'),
      (admin) => admin.config('SET', 'maxmemory', '0'),
    );
  });

  t.test('it cannot save', async (t) => {
    const { url } = await startRedis(t);
    const misconfigure = async (admin: Redis) => {
      const [, dir = ''] = await admin.config('GET', 'dir');
      await admin.config('SET', 'save', '3600 1');
      rmSync(dir, { recursive: true });
      await admin.set('x', 1);
      await admin.bgsave();
      await until('it has failed to save', SECONDS, async () =>
        /rdb_last_bgsave_status:err/.test(await admin.info('persistence')) ? true : null,
      );
    };
    await waitsFor(t, url, /cannot save to its disk/, misconfigure, (admin) => admin.config('SET', 'save', ''));
  });

  t.test('too few replicas', async (t) => {
    const { url } = await startRedis(t);
    await waitsFor(
      t,
      url,
      /too few replicas/,
      (admin) => admin.config('SET', 'min-replicas-to-write', '1'),
      (admin) => admin.config('SET', 'min-replicas-to-write', '0'),
    );
  });

  t.test('somebody’s script runs on and on', async (t) => {
    const { url } = await startRedis(t, { config: { 'lua-time-limit': '50' } });
    const other = connection(t, url);
    const busy = async (admin: Redis) => {
      void other.eval('while true do end', 0).catch(() => undefined);
      await until('Redis is busy', SECONDS, () =>
        admin.get('x').then(
          () => null,
          (error: unknown) => (/^BUSY/.test(String(Reflect.get(Object(error), 'message'))) ? true : null),
        ),
      );
    };
    await waitsFor(t, url, /kept busy by a script/, busy, (admin) => admin.script('KILL'));
  });

  t.test('it has forgotten a user, who is made again', async (t) => {
    const { url } = await startRedis(t);
    const make = (admin: Redis) => admin.call('ACL', 'SETUSER', 'worker', 'on', '>secret', '~fedbiot:*', '&*', '+@all');
    await make(connection(t, url));
    const admin = connection(t, url);
    const { heard, round, expected } = await endsOf(t, url.replace('redis://', 'redis://worker:secret@'));
    t.strictSame(await round(0), expected(0));
    // Redis ends the user's connections.
    await admin.call('ACL', 'DELUSER', 'worker');
    const going = round(1);
    await until(
      'the refusal is reported',
      SECONDS,
      () => (heard.some((line) => /refuses the user or password; trying again/.test(line)) ? true : null),
      () => heard,
    );
    await make(admin);
    t.strictSame(await going, expected(1));
  });

  t.test('a failover: the connection stays with what is a replica now, a new one leads to the master', async (t) => {
    const [a, b] = [await startRedis(t), await startRedis(t)];
    const [adminA, adminB] = [connection(t, a.url), connection(t, b.url)];
    await adminB.replicaof('127.0.0.1', new URL(a.url).port);
    await until('b follows', SECONDS, async () =>
      /master_link_status:up/.test(await adminB.info('replication')) ? true : null,
    );
    let target = Number(new URL(a.url).port);
    const url = await service(t, () => target);
    const { heard, round, expected, redis, keys } = await endsOf(t, url);
    t.strictSame(await round(0), expected(0));
    await redis.set(`${keys.prefix}:written`, 1);
    await adminA.wait(1, 5000);
    await adminB.replicaof('NO', 'ONE');
    await adminA.replicaof('127.0.0.1', new URL(b.url).port);
    target = Number(new URL(b.url).port);
    t.strictSame(await round(1), expected(1));
    t.ok(
      heard.some((line) => /is a replica, which takes no writes; trying again/.test(line)),
      heard.join('\n'),
    );
    t.equal(await adminB.get(`${keys.prefix}:written`), '1', 'it was the other that took it');
  });

  t.test('for ever is too long: it is told, as what may pass', async (t) => {
    const { url } = await startRedis(t);
    const redis = patient(connection(t, url), {
      host: 'redis:6379',
      listener: { refused: () => undefined, taken: () => undefined, failed: () => undefined },
      patienceMs: 300,
    });
    await connection(t, url).config('SET', 'min-replicas-to-write', '1');
    await refuses(t, redis.set('x', 1), 'passes', /^Redis at redis:6379 takes no writes while .*, for \d+ s now$/);
    t.equal(await redis.get('x'), null, 'what it takes is not held up');
  });
});

/** A name that leads new connections to whom it names at that time; those there are stay. */
async function service(t: Test, port: () => number): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port(), '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => undefined).on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `redis://127.0.0.1:${address.port}`;
}

t.test('what a job needs is tried at the start', { skip: noRedis }, async (t) => {
  const { url } = await startRedis(t);
  const admin = connection(t, url);
  const uid = randomUUID();
  const keys = jobKeys(uid);
  const needs = (role: 'server' | 'client') => ({ keys, role, job: 'lab/tiny' });
  /** A user who may what `rules` say. */
  const as = async (...rules: string[]) => {
    await admin.call('ACL', 'SETUSER', 'worker', 'reset', 'on', '>secret', ...rules);
    return { url: url.replace('redis://', 'redis://worker:secret@') };
  };
  const ofJob = [`~fedbiot:{${uid}}:*`, '&fedbiot:progress', '+@all', '-@admin', '-@dangerous', '+info'];

  t.test('a user who may what a job needs, and no more, runs it', async (t) => {
    const address = await as(...ofJob);
    for (const role of ['server', 'client'] as const)
      t.match(await checkRedis(address, needs(role)), { isCluster: false });
    t.strictSame(await admin.keys('*'), [], 'nothing is left of the trial');
    const { round, expected } = await endsOf(t, address.url, uid);
    t.strictSame(await round(0), expected(0));
  });

  t.test('one who may not is told so, with what to allow', async (t) => {
    const lacking: Readonly<Record<string, readonly string[]>> = {
      'no channels, as Redis 7 makes users': ['~fedbiot:*', 'resetchannels', '+@all'],
      'reads only': ['~*', '&*', '+@read', '+@connection', '+info'],
      'no scripts': [...ofJob, '-@scripting'],
      'no streams, which scripts write': [...ofJob, '-@stream'],
      'keys of another job': ['~fedbiot:{other}:*', '&fedbiot:progress', '+@all'],
      'no INFO': [...ofJob, '-info'],
    };
    for (const [what, rules] of Object.entries(lacking)) {
      await refuses(
        t,
        checkRedis(await as(...rules), needs('server')),
        'stays',
        /does not allow this user what a job needs/,
        what,
      );
    }
    t.match(
      await checkRedis(await as('~fedbiot:*', 'resetchannels', '+@all'), needs('client')),
      { isCluster: false },
      'a client tells nothing',
    );
  });

  t.test('a replica is refused in words, as one that may become a master', async (t) => {
    const replica = await startRedis(t);
    await connection(t, replica.url).replicaof('127.0.0.1', new URL(url).port);
    await refuses(t, checkRedis(replica, needs('client')), 'passes', /is a replica, which takes no writes/);
  });
});

t.test('what somebody else wrote under a job’s keys', { skip: noRedis, timeout: 90_000 }, async (t) => {
  const { url } = await startRedis(t);
  const raw = connection(t, url);

  t.test('a fence that is no token ends a server in words, before and while it serves', async (t) => {
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
    await refuses(t, acquireFence(patientConnection(t, url), keys), 'stays', /something else under a key/);
    const { token } = await acquireFence(raw, jobKeys(randomUUID()));
    t.ok(Number.isSafeInteger(token) && token < Date.now() + 60_000, 'an honest one fits progress');
    t.equal(new Fence(raw, keys, token).token, token);
  });

  t.test('a queue that is paused or limited is told, and not waited at for ever', async (t) => {
    for (const field of ['paused', 'concurrency', 'max']) {
      const { keys, server, client } = await endsOf(t, url);
      await raw.hset(`${keys.prefix}:tasks:meta`, field, 1);
      await refuses(t, client.take(forever), 'stays', /paused or limited the queue tasks/);
      await raw.hset(`${keys.prefix}:results:meta`, field, 1);
      await refuses(t, server.receive(forever), 'stays', /paused or limited the queue results/);
    }
  });

  t.test(
    'entries that are none are passed over and counted, whatever they are; true ones among them come',
    async (t) => {
      const uid = randomUUID();
      const { keys, server, client, heard, round, expected } = await endsOf(t, url, uid);
      const poison = async (queue: 'tasks' | 'results') => {
        const key = (id: string) => `${keys.prefix}:${queue}:${id}`;
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
        return ids.length;
      };
      await poison('tasks');
      const count = await poison('results');
      const refused = await server.receive(forever);
      await t.rejects(async () => void (await refused?.read()), {
        name: 'Refused',
        reason: 'malformed',
        message: new RegExp(`^${count} entries`),
      });
      t.strictSame(await round(0), expected(0));
      t.ok(
        heard.some((line) => new RegExp(`${count} invalid entries were removed from the queue of tasks`).test(line)),
        heard.join('\n'),
      );
      for (const queue of ['tasks', 'results'])
        t.strictSame(
          await raw.exists(
            `${keys.prefix}:${queue}:large`,
            `${keys.prefix}:${queue}:prioritized`,
            `${keys.prefix}:${queue}:delayed`,
          ),
          0,
          'and they are gone',
        );
      t.equal(await raw.llen(`${keys.prefix}:results:active`), 0, 'none is held');
      t.ok(MAX_TASK_BYTES < 8 * 1024 * 1024);
      await client.close();
    },
  );

  t.test('entries without number', async (t) => {
    const { keys, server } = await endsOf(t, url);
    const key = `${keys.prefix}:results:wait`;
    for (let i = 0; i < 101; i++) await raw.rpush(key, ...Array.from({ length: 1000 }, (_, n) => `${i}-${n}`));
    await refuses(t, server.receive(forever), 'stays', /queue results of the job in Redis has 101000 entries/);
  });

  t.test('a payload that is longer than announced is not read', async (t) => {
    const keys = jobKeys(randomUUID());
    const tensors = new RedisTensors(raw, keys, 60);
    const bytes = text('twenty kilobytes');
    await tensors.write('x', { bytes, sha256: sha256(bytes) });
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

  t.test('a bundle that is none is told, and not waited for', async (t) => {
    const keys = jobKeys(randomUUID());
    t.equal(await readBundle(raw, keys), null);
    for (const value of ['no json', '{"sha256":"x","bytes":1}', 'x'.repeat(10_000)]) {
      await raw.set(keys.bundle, value);
      await refuses(t, readBundle(raw, keys), 'stays', /something under fedbiot:\{.*\}:bundle/);
    }
  });
});
