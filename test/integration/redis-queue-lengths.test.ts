import t from 'tap';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { RedisClientTransport } from '../../worker/transport/redis/client.ts';
import { openRedis } from '../../worker/transport/redis/connect.ts';
import { acquireFence } from '../../worker/transport/redis/fence.ts';
import { queueLengths } from '../../worker/transport/redis/queue-lengths.ts';
import { RedisServerTransport } from '../../worker/transport/redis/server.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const forever = new AbortController().signal;

t.test(
  "what waits in a job's queues is counted, until it is taken; a Redis that is away keeps nobody waiting",
  { skip: noRedis },
  async (t) => {
    const { url, kill } = await startRedis(t);
    const keys = jobKeys('counted');
    const redis = openRedis({ url });
    t.teardown(() => redis.disconnect());
    t.equal(await queueLengths(redis, keys), null, 'not connected yet');
    const { token } = await acquireFence(redis, keys);
    const server = new RedisServerTransport({ url }, keys, token);
    const client = new RedisClientTransport({ url }, keys, { lockMs: 30_000 });
    t.teardown(() => Promise.all([server.close(), client.close()]));
    t.same(await queueLengths(redis, keys), { tasks: 0, results: 0 });

    const bytes = new TextEncoder().encode('package');
    const round = { job: 'job', round: 1, attempt: 1 };
    await server.publish(round, { bytes, sha256: sha256(bytes) });
    for (const each of [0, 1, 2])
      await server.dispatch({ ...round, client: each, sha256: sha256(bytes), bytes: bytes.byteLength });
    t.same(await queueLengths(redis, keys), { tasks: 3, results: 0 });
    const delivery = await client.take(forever);
    if (delivery === null) return t.fail('no task came');
    t.same(await queueLengths(redis, keys), { tasks: 2, results: 0 });
    await client.submit(delivery, { header: '{}', payload: bytes, sha256: sha256(bytes) });
    t.same(await queueLengths(redis, keys), { tasks: 2, results: 1 });
    await server.receive(forever);
    t.same(await queueLengths(redis, keys), { tasks: 2, results: 0 });

    await kill();
    await until('the loss is known', 30, () => (redis.status === 'ready' ? null : true));
    t.equal(await queueLengths(redis, keys), null);
  },
);
