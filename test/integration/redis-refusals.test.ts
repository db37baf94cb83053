// A Redis that temporarily refuses commands: pods wait, and report why.
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import t from 'tap';
import type { Test } from 'tap';
import type { Redis } from 'ioredis';
import { DEAF, patient } from '../../worker/transport/redis/patience.ts';
import { connection, noRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { endsOf, forever, refuses } from '../support/data-plane.ts';

const SECONDS = 20;

t.test('a Redis that refuses for now', { skip: noRedis, timeout: 90_000 }, async (t) => {
  /** A round that begins while Redis refuses commands ends once it accepts them. */
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

  t.test('Redis is out of memory', async (t) => {
    const { url } = await startRedis(t);
    await waitsFor(
      t,
      url,
      /has no memory left.*trying again.*maxmemory/,
      (admin) => admin.config('SET', 'maxmemory', '1'),
      (admin) => admin.config('SET', 'maxmemory', '0'),
    );
  });

  t.test('Redis cannot save to disk', async (t) => {
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

  t.test('Redis has too few replicas', async (t) => {
    const { url } = await startRedis(t);
    await waitsFor(
      t,
      url,
      /too few replicas/,
      (admin) => admin.config('SET', 'min-replicas-to-write', '1'),
      (admin) => admin.config('SET', 'min-replicas-to-write', '0'),
    );
  });

  t.test('another client’s script does not end', async (t) => {
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
    await waitsFor(t, url, /busy with a script/, busy, (admin) => admin.script('KILL'));
  });

  t.test('Redis has lost a user, which is created again', async (t) => {
    const { url } = await startRedis(t);
    const make = (admin: Redis) => admin.call('ACL', 'SETUSER', 'worker', 'on', '>secret', '~fedbiot:*', '&*', '+@all');
    await make(connection(t, url));
    const admin = connection(t, url);
    const { heard, round, expected } = await endsOf(t, url.replace('redis://', 'redis://worker:secret@'));
    t.strictSame(await round(0), expected(0));
    // Redis closes the user's connections.
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

  t.test('a failover: the connection stays with the new replica, a new connection leads to the master', async (t) => {
    const { a, b, adminA, adminB } = await masterAndReplica(t);
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
      heard.some((line) => /is a replica, which accepts no writes; trying again/.test(line)),
      heard.join('\n'),
    );
    t.equal(await adminB.get(`${keys.prefix}:written`), '1', 'it was the other that took it');
  });

  t.test('a failover while a client waits for a task', async (t) => {
    const { a, b, adminA, adminB } = await masterAndReplica(t);
    let target = Number(new URL(a.url).port);
    const { heard, server, client } = await endsOf(t, await service(t, () => target));
    const taking = client.take(forever);
    await until('it waits', SECONDS, async () =>
      /blocked_clients:1/.test(await adminA.info('clients')) ? true : null,
    );
    await adminA.wait(1, 5000);
    await adminB.replicaof('NO', 'ONE');
    target = Number(new URL(b.url).port);
    await adminA.replicaof('127.0.0.1', new URL(b.url).port);
    await server.dispatch({ job: 'job', round: 1, attempt: 1, client: 5, sha256: '', bytes: 0 });
    t.equal((await taking)?.task.client, 5);
    t.ok(
      heard.some((line) => /has become a replica, and ended a read that waited; trying again/.test(line)),
      heard.join('\n'),
    );
  });

  t.test('a wait that is too long ends with an error that is retried', async (t) => {
    const { url } = await startRedis(t);
    const redis = patient(connection(t, url), {
      host: 'redis:6379',
      listener: DEAF,
      patienceMs: 300,
    });
    await connection(t, url).config('SET', 'min-replicas-to-write', '1');
    await refuses(t, redis.set('x', 1), 'passes', /^Redis at redis:6379 accepts no writes while .*, for \d+ s now$/);
    t.equal(await redis.get('x'), null, 'what it takes is not held up');
  });
});

/** A proxy that connects new clients to the current target. Existing connections stay. */
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

/** Two Redis, of which b follows a. */
async function masterAndReplica(t: Test) {
  const [a, b] = [await startRedis(t), await startRedis(t)];
  const [adminA, adminB] = [connection(t, a.url), connection(t, b.url)];
  await adminB.replicaof('127.0.0.1', new URL(a.url).port);
  await until('b follows', SECONDS, async () =>
    /master_link_status:up/.test(await adminB.info('replication')) ? true : null,
  );
  return { a, b, adminA, adminB };
}
