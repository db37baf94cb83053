import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { RedisClientTransport } from '../../worker/transport/redis/client.ts';

/** node redis-client-child.ts URL UID LOCK_MS: takes a task, prints a line, and never submits a result. */
const [url = '', uid = '', lockMs = ''] = process.argv.slice(2);
const client = new RedisClientTransport({ url }, jobKeys(uid), { lockMs: Number(lockMs) });
const delivery = await client.take(new AbortController().signal);
process.stdout.write(`took ${delivery?.task.client}\n`);
