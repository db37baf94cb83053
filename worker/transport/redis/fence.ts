import { KEYS_TTL_SECONDS } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import type { RedisConnection } from './redis-cluster.ts';

/** Another server pod has taken the job over: this one must not write any more. */
export class Fenced extends Error {
  override readonly name = 'Fenced';

  constructor(token: number, current: string) {
    super(`this server has fencing token ${token}, the job's is ${current || 'gone from Redis'}: another server has taken over`);
  }
}

/** KEYS: fence, targets. ARGV: token, TTL of the fence in seconds, command, its arguments after the targets. */
const GUARDED = `
local current = redis.call('GET', KEYS[1])
if current ~= ARGV[1] then return current or '' end
redis.call('EXPIRE', KEYS[1], ARGV[2])
local call = {ARGV[3]}
for i = 2, #KEYS do call[#call + 1] = KEYS[i] end
for i = 4, #ARGV do call[#call + 1] = ARGV[i] end
if #call > 1 then redis.call(unpack(call)) end
return false
`;

/** A server pod's right to write: lost for good as soon as a later server pod has acquired its own. */
export class Fence {
  readonly token: number;
  readonly #redis: RedisConnection;
  readonly #key: string;

  constructor(redis: RedisConnection, { fence }: Pick<JobKeys, 'fence'>, token: number) {
    this.#redis = redis;
    this.#key = fence;
    this.token = token;
  }

  /** Runs one command if the fence is still held, in one step. @throws Fenced */
  async run(command: string, keys: readonly string[], args: readonly (string | number | Uint8Array)[] = []): Promise<void> {
    const rest = args.map((arg) => (arg instanceof Uint8Array ? Buffer.from(arg.buffer, arg.byteOffset, arg.byteLength) : arg));
    const refusal = await this.#redis.eval(GUARDED, keys.length + 1, this.#key, ...keys, this.token, KEYS_TTL_SECONDS, command, ...rest);
    if (refusal !== null) throw new Fenced(this.token, String(refusal));
  }

  /** @throws Fenced */
  check(): Promise<void> {
    return this.run('', []);
  }
}

/**
 * One more than the last token, and never less than Redis's clock in milliseconds: a Redis that has forgotten the job gives no token a
 * second time. KEYS: fence. ARGV: its TTL in seconds.
 */
const ACQUIRE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local token = math.max(tonumber(redis.call('GET', KEYS[1]) or 0) + 1, now)
redis.call('SET', KEYS[1], string.format('%.0f', token), 'EX', ARGV[1])
return token
`;

/** Takes the job over: every fence that was acquired before is lost. */
export async function acquireFence(redis: RedisConnection, keys: Pick<JobKeys, 'fence'>): Promise<Fence> {
  return new Fence(redis, keys, Number(await redis.eval(ACQUIRE, 1, keys.fence, KEYS_TTL_SECONDS)));
}
