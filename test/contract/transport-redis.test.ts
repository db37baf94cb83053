import { randomUUID } from 'node:crypto';
import t from 'tap';
import { Redis } from 'ioredis';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { RedisClientTransport } from '../../worker/transport/redis/client.ts';
import { acquireFence } from '../../worker/transport/redis/fence.ts';
import { RedisServerTransport } from '../../worker/transport/redis/server.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { transportContract } from './transport.ts';

if (noRedis !== false) {
  t.plan(0, noRedis);
} else {
  const { url } = await startRedis(t);
  transportContract(t, 'redis', async (t) => {
    // A separate job for each test.
    const keys = jobKeys(randomUUID());
    const redis = new Redis(url);
    const { token } = await acquireFence(redis, keys);
    redis.disconnect();
    const server = new RedisServerTransport({ url }, keys, token);
    const connect = async () => {
      const client = new RedisClientTransport({ url }, keys);
      t.teardown(() => client.close());
      return client;
    };
    t.teardown(() => server.close());
    return { server, connect };
  });
}
