// What a job asks of Redis while it waits: many jobs share one.
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { watchTenure } from '../../worker/run/pod/tenure.ts';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { RedisClientTransport } from '../../worker/transport/redis/client.ts';
import { Fence } from '../../worker/transport/redis/fence.ts';
import { endsOf, forever, text } from '../support/data-plane.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { redisCommands } from '../support/redis-commands.ts';
import { connection, noRedis, startRedis } from '../support/redis.ts';

const SECONDS = 12;
const MOST_PER_SECOND = 5;

t.test('a job that waits', { skip: noRedis, timeout: 60_000 }, async (t) => {
  const { url } = await startRedis(t);
  const raw = connection(t, url);
  const { keys, redis, token, server, client } = await endsOf(t, url, 'waits');
  const other = new RedisClientTransport({ url }, jobKeys('waits'));
  t.teardown(() => other.close());
  const { stop } = watchTenure(new Fence(redis, keys, token), { check: () => undefined });
  t.teardown(stop);
  const stopping = new AbortController();
  const waiting = Promise.all([
    server.receive(stopping.signal),
    client.take(stopping.signal),
    other.take(stopping.signal),
  ]);
  // Until connections and scripts are settled.
  await delay(1000);
  const before = await redisCommands(raw);
  await delay(1000 * SECONDS);
  const commands = (await redisCommands(raw)) - before;
  t.ok(commands > 0, 'they are counted');
  t.ok(commands <= MOST_PER_SECOND * SECONDS, `${commands} commands in ${SECONDS} s`);
  stopping.abort();
  t.strictSame(await waiting, [null, null, null]);

  const again = Promise.all([client.take(forever), other.take(forever)]);
  const task = { job: 'job', round: 1, attempt: 1, sha256: sha256(text('package')), bytes: 7 };
  for (const number of [0, 1]) await server.dispatch({ ...task, client: number });
  t.strictSame((await again).map((delivery) => delivery?.task.client).sort(), [0, 1], 'each is woken by a task');
});
