import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { RedisClientTransport } from '../../worker/transport/redis/client.ts';
import { openRedis } from '../../worker/transport/redis/connect.ts';
import { acquireFence } from '../../worker/transport/redis/fence.ts';
import { RedisServerTransport } from '../../worker/transport/redis/server.ts';
import { RedisUnreachable } from '../../worker/transport/redis/unusable.ts';

export const forever = new AbortController().signal;

export const text = (says: string) => new TextEncoder().encode(says);

const round = { job: 'job', round: 1, attempt: 1 };

const task = (client: number) => ({ ...round, client, sha256: sha256(text('package')), bytes: 7 });

/** How Redis refuses commands: until somebody changes it, or temporarily. */
export async function refuses(
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

/** Both ends of a job's data plane, and their reports about Redis. */
export async function endsOf(t: Test, url: string, uid: string = randomUUID(), maxHeaderBytes = 4096) {
  const heard: string[] = [];
  const listener = {
    refused: (message: string) => void heard.push(message),
    taken: () => void heard.push('taken'),
    waits: (message: string) => void heard.push(message),
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
  /** Uses every operation of a round once. */
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
    token,
    server,
    client,
    round: round1,
    expected: (n: number) => ['package', `{"n":${n}}`, 'trained'],
  };
}
