/** A client pod's end for bench/transport.ts: answers every task with a payload, until it is killed. */
import { jobKeys } from '../worker/cluster/redis-keys.ts';
import { sha256 } from '../worker/files/sha256.ts';
import { RedisClientTransport } from '../worker/transport/redis/client.ts';

const [url = '', uid = '', size = ''] = process.argv.slice(2);
const transport = new RedisClientTransport({ url }, jobKeys(uid));
const payload = new Uint8Array(Number(size)).map((_, i) => (i * 31) % 251);
const submission = { header: '{}', payload, sha256: sha256(payload) };
for (;;) {
  const delivery = await transport.take(new AbortController().signal);
  if (delivery === null) break;
  await transport.submit(delivery, submission);
}
