// Results that the server has not read are bounded by number and by bytes, however many clients send at once.
import t from 'tap';
import { sha256 } from '../../worker/files/sha256.ts';
import { MAX_UNREAD } from '../../worker/transport/redis/result-queue.ts';
import { endsOf, forever } from '../support/data-plane.ts';
import { connection, noRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const MIB = 2 ** 20;
const LARGE = 60 * MIB;
const round = { job: 'job', round: 1, attempt: 1 };

t.test('many large results at once wait for the server', { skip: noRedis, timeout: 90_000 }, async (t) => {
  const { url } = await startRedis(t);
  const raw = connection(t, url);
  const { keys, heard, server, client } = await endsOf(t, url);
  const payload = new Uint8Array(LARGE).fill(1);
  const submission = { header: '{}', payload, sha256: sha256(payload) };
  const delivery = { task: { ...round, client: 0, sha256: '', bytes: 0 }, withdrawn: forever };
  const count = 6;
  const sending = Array.from({ length: count }, () => client.submit(delivery, submission));
  const fits = Math.floor(MAX_UNREAD.bytes / LARGE);
  t.equal(fits, 4);
  const stored = async () => (await raw.keys(`${keys.tensors}:result-*:header`)).length;
  await until('what fits is there', 60, async () => ((await stored()) === fits ? true : null));
  await until('the others wait', 10, () =>
    heard.some((line) => /has not read 4 others, of 240 MiB/.test(line)) ? true : null,
  );
  t.equal(await stored(), fits);
  for (let i = 0; i < count; i++) {
    const arrival = await server.receive(forever);
    t.equal((await arrival!.read()).byteLength, LARGE);
    t.ok((await stored()) <= fits, 'never more');
  }
  await Promise.all(sending);
  t.strictSame(await raw.keys(`${keys.tensors}:result-*`), []);
});

t.test('one that is larger than the bound passes alone', { skip: noRedis, timeout: 90_000 }, async (t) => {
  const { url } = await startRedis(t);
  const { server, client } = await endsOf(t, url);
  const payload = new Uint8Array(MAX_UNREAD.bytes + 1).fill(1);
  const delivery = { task: { ...round, client: 0, sha256: '', bytes: 0 }, withdrawn: forever };
  await client.submit(delivery, { header: '{}', payload, sha256: sha256(payload) });
  t.equal((await (await server.receive(forever))!.read()).byteLength, payload.byteLength);
});

t.test('the room of a sender that was killed is free again', { skip: noRedis }, async (t) => {
  const { url } = await startRedis(t);
  const raw = connection(t, url);
  const { keys, server, client } = await endsOf(t, url);
  await raw.zadd(`${keys.prefix}:results:sending`, Date.now() + 1500, `killed ${MAX_UNREAD.bytes} x`);
  const delivery = { task: { ...round, client: 0, sha256: '', bytes: 0 }, withdrawn: forever };
  const payload = Uint8Array.of(1);
  const sending = client.submit(delivery, { header: '{}', payload, sha256: sha256(payload) });
  t.equal(await raw.llen(`${keys.prefix}:results:wait`), 0);
  await sending;
  t.strictSame([...(await (await server.receive(forever))!.read())], [1]);
});

t.test('a result that the server refuses leaves Redis', { skip: noRedis }, async (t) => {
  const { url } = await startRedis(t);
  const raw = connection(t, url);
  const { keys, server, client } = await endsOf(t, url);
  const delivery = { task: { ...round, client: 0, sha256: '', bytes: 0 }, withdrawn: forever };
  const payload = new Uint8Array(3 * MIB);
  await client.submit(delivery, { header: '{}', payload, sha256: sha256(payload) });
  await raw.lpush(`${keys.prefix}:results:wait`, `result-${'0'.repeat(36)} 999999999999999 ${'0'.repeat(64)}`);
  t.equal((await server.receive(forever))!.bytes, payload.byteLength);
  t.equal((await raw.keys(`${keys.tensors}:result-*`)).length, 3);
  t.equal((await server.receive(forever))!.bytes, 999_999_999_999_999, 'of any size');
  t.strictSame(await raw.keys(`${keys.tensors}:result-*`), []);
  t.equal(await server.receive(AbortSignal.abort()), null);
});
