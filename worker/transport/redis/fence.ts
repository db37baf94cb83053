import { KEYS_TTL_SECONDS } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import { foreignValue } from './unusable.ts';
import type { RedisConnection } from './redis-cluster.ts';

/** Another server pod has taken over the job: this one may no longer write. */
export class Fenced extends Error {
  override readonly name = 'Fenced';

  constructor(token: number, current: string) {
    super(
      `this server has fencing token ${token}, the job's is ${current || 'gone from Redis'}: another server has taken over`,
    );
  }
}

/** Maximum number of digits of a token. */
const MAX_DIGITS = 16;

/** Where a fence has been lost, the current token is the script's answer. KEYS: fence. ARGV: token. */
const FENCED = `
local current = redis.call('GET', KEYS[1])
if current ~= ARGV[1] then return string.sub(current or '', 1, ${MAX_DIGITS + 1}) end
`;

/** KEYS: fence, targets. ARGV: token, TTL of the fence in seconds, command, its arguments after the targets. */
const CALL = `
redis.call('EXPIRE', KEYS[1], ARGV[2])
local call = {ARGV[3]}
for i = 2, #KEYS do call[#call + 1] = KEYS[i] end
for i = 4, #ARGV do call[#call + 1] = ARGV[i] end
redis.call(unpack(call))
return false
`;

/** A server pod's permission to write, lost for good once a later server pod has acquired a fence. */
export class Fence {
  readonly token: number;
  readonly #redis: RedisConnection;
  readonly #key: string;

  constructor(redis: RedisConnection, { fence }: Pick<JobKeys, 'fence'>, token: number) {
    this.#redis = redis;
    this.#key = fence;
    this.token = token;
  }

  /**
   * Runs one command atomically if the fence is still held, and renews the fence. @throws as `script`
   */
  async run(
    command: string,
    keys: readonly string[],
    args: readonly (string | number | Uint8Array)[] = [],
  ): Promise<void> {
    const rest = args.map((arg) =>
      arg instanceof Uint8Array ? Buffer.from(arg.buffer, arg.byteOffset, arg.byteLength) : arg,
    );
    await this.script(CALL, keys, [KEYS_TTL_SECONDS, command, ...rest]);
  }

  /**
   * Runs a script atomically if the fence is still held. In it, the fence is KEYS[1] and the token ARGV[1]; its answer
   * is no string. @throws Fenced; RedisUnusable if the fence's key does not hold a token
   */
  async script(text: string, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown> {
    const reply = await this.#redis.eval(FENCED + text, keys.length + 1, this.#key, ...keys, this.token, ...args);
    if (typeof reply === 'string') throw this.#lostTo(reply);
    return reply;
  }

  /** Whether the fence is held; writes nothing. @throws as `script` */
  async check(): Promise<void> {
    const current = await this.#redis.getrange(this.#key, 0, MAX_DIGITS);
    if (current !== String(this.token)) throw this.#lostTo(current);
  }

  #lostTo(current: string): Error {
    return current === '' || isToken(current) ? new Fenced(this.token, current) : foreignValue(this.#key);
  }
}

const isToken = (text: string): boolean =>
  text.length <= MAX_DIGITS && /^[1-9]\d*$/.test(text) && Number.isSafeInteger(Number(text));

/**
 * How far a token may be ahead of Redis's clock: clocks differ, but not by years, and later tokens must remain exact
 * numbers.
 */
const MAX_AHEAD_MS = 24 * 3600 * 1000;

/**
 * One more than the last token, and at least Redis's clock in milliseconds, so that a Redis that lost the job's keys
 * does not reuse a token. False if the last token is invalid. KEYS: fence. ARGV: its TTL in seconds, how far a token
 * may be ahead of the clock.
 */
const ACQUIRE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = redis.call('GET', KEYS[1]) or '0'
if #last > ${MAX_DIGITS} or not string.match(last, '^%d+$') or tonumber(last) > now + ARGV[2] then return false end
local token = string.format('%.0f', math.max(tonumber(last) + 1, now))
redis.call('SET', KEYS[1], token, 'EX', ARGV[1])
return token
`;

/**
 * Takes over the job: every fence that was acquired before is lost. @throws RedisUnusable if the fence's key does not
 * hold a token
 */
export async function acquireFence(redis: RedisConnection, keys: Pick<JobKeys, 'fence'>): Promise<Fence> {
  const token = await redis.eval(ACQUIRE, 1, keys.fence, KEYS_TTL_SECONDS, MAX_AHEAD_MS);
  if (typeof token !== 'string' || !isToken(token)) throw foreignValue(keys.fence);
  return new Fence(redis, keys, Number(token));
}
