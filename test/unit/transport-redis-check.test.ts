// The check of Redis ends, whatever a cluster answers while it is checked.
import t from 'tap';
import { checkRedis } from '../../worker/transport/redis/connect.ts';
import { RedisUnreachable } from '../../worker/transport/redis/unusable.ts';
import { bulk, hostileRedis } from '../support/hostile-redis.ts';

const NODE = bulk('redis_version:7.2.0\r\nredis_mode:cluster\r\nloading:0\r\n');
const state = (name: string) => bulk(`cluster_state:${name}\r\n`);

t.test('a cluster that loses a node between two questions is not complete', { timeout: 30_000 }, async (t) => {
  // CLUSTER is asked for INFO, for SLOTS, and for INFO again.
  const answers = [() => state('ok'), (port: number) => slots(port), () => state('fail')];
  let asked = 0;
  const redis: { port: number } = await hostileRedis(t, (command) => {
    if (command === 'info') return NODE;
    if (command === 'cluster') return answers[Math.min(asked++, 2)]?.(redis.port);
  });
  const error = await checkRedis({ url: `redis://127.0.0.1:${redis.port}` }).then(
    () => null,
    (cause: unknown) => cause,
  );
  t.type(error, RedisUnreachable);
  t.match(error, { message: /^the Redis Cluster at 127\.0\.0\.1:\d+ is not complete$/ });
  t.ok(asked >= 3, `CLUSTER was asked ${asked} times`);
});

/** All slots at one node. */
const slots = (port: number): string =>
  `*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n${bulk('127.0.0.1')}:${port}\r\n${bulk('a'.repeat(40))}`;
