import { KEYS_TTL_SECONDS, QUEUE } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import { RING } from './bell.ts';
import type { Fence } from './fence.ts';
import { MAX_WAITING, flooded } from './queue-guard.ts';
import type { RedisConnection } from './redis-cluster.ts';

/**
 * Unread results in Redis, of one job, at which clients wait with theirs: each contains an adapter. A result alone may
 * be larger.
 */
export const MAX_UNREAD = { results: 64, bytes: 256 * 1024 * 1024 } as const;

/** How long the room of a result is kept for its sender, which may be killed meanwhile. */
const SENDING_MS = 60_000;

/** How long a result stays in Redis if the server does not take it. */
export const RESULT_TTL_SECONDS = 24 * 3600;

const MAX_ENTRY_BYTES = 128;
const ENTRY = /^(result-[0-9a-f-]{36}) (0|[1-9]\d{0,14}) ([0-9a-f]{64})$/;

/** A result whose header and chunks lie in Redis under its name. */
export interface ResultEntry {
  readonly name: string;
  /** Size of the payload. */
  readonly bytes: number;
  /** Digest of the payload (hex). */
  readonly sha256: string;
}

/**
 * Entries have name, size and digest: short, so that they can be added up. KEYS: waiting, sending. ARGV: entry, its
 * bytes, most bytes, most results, milliseconds to send it, TTL in seconds.
 */
const RESERVE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local results, bytes = 0, 0
local function count(entries)
  for _, entry in ipairs(entries) do
    if entry ~= ARGV[1] then
      results = results + 1
      bytes = bytes + (tonumber(string.match(entry, ' (%d+) ')) or 0)
    end
  end
end
count(redis.call('LRANGE', KEYS[1], 0, ARGV[4]))
count(redis.call('ZRANGE', KEYS[2], 0, ARGV[4]))
if results > 0 and (results >= tonumber(ARGV[4]) or bytes + ARGV[2] > tonumber(ARGV[3])) then return {results, bytes} end
redis.call('ZADD', KEYS[2], now + ARGV[5], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[6])
return false
`;

/** KEYS: waiting, sending, bell, header. ARGV: entry, header, its TTL in seconds, that of the queue, ring. */
const SEND = `
redis.call('SET', KEYS[4], ARGV[2], 'EX', ARGV[3])
redis.call('ZREM', KEYS[2], ARGV[1])
if not redis.call('LPOS', KEYS[1], ARGV[1]) then redis.call('LPUSH', KEYS[1], ARGV[1]) end
redis.call('ZADD', KEYS[3], 0, ARGV[5])
for _, key in ipairs({KEYS[1], KEYS[3]}) do redis.call('EXPIRE', key, ARGV[4]) end
`;

/**
 * Takes the oldest entry. Its answer may be lost and the script run again, by which the call is known, and answered as
 * before. KEYS: fence, taken, waiting. ARGV: token, call, prefix of headers, most bytes of a header, TTL in seconds.
 */
const TAKE = `
local waiting = redis.call('LLEN', KEYS[3])
if waiting > ${MAX_WAITING} then return waiting end
local last = redis.call('HMGET', KEYS[2], 'call', 'entry')
local entry = last[2]
if last[1] ~= ARGV[2] then
  entry = waiting > 0 and redis.call('RPOP', KEYS[3])
  if not entry then return false end
  entry = string.sub(entry, 1, ${MAX_ENTRY_BYTES + 1})
  redis.call('HSET', KEYS[2], 'call', ARGV[2], 'entry', entry)
  for _, key in ipairs({KEYS[1], KEYS[2]}) do redis.call('EXPIRE', key, ARGV[5]) end
end
local header = redis.pcall('GETRANGE', ARGV[3] .. string.match(entry, '^%S*') .. ':header', 0, ARGV[4])
return {entry, type(header) == 'string' and header or ''}
`;

/** The results that wait for a job's server: entries, beside which header and payload lie by name. */
export class ResultQueue {
  readonly #redis: RedisConnection;
  readonly #keys: JobKeys;
  readonly #waiting: string;
  readonly #sending: string;
  /** Rung when a result arrives. */
  readonly bell: string;

  constructor(redis: RedisConnection, keys: JobKeys) {
    const key = (name: string) => `${keys.prefix}:${QUEUE.results}:${name}`;
    this.#redis = redis;
    this.#keys = keys;
    this.#waiting = key('wait');
    this.#sending = key('sending');
    this.bell = key('marker');
  }

  /** Keys that exist while the queue is in use. */
  get keys(): string[] {
    return [this.#waiting, this.#sending, this.bell, this.#keys.taken];
  }

  /** Key of a result's header. */
  header({ name }: Pick<ResultEntry, 'name'>): string {
    return `${this.#keys.tensors}:${name}:header`;
  }

  /**
   * Reserves room for a result that will be sent. @returns what is unread, if there is no room; null if there is
   */
  async reserve(entry: ResultEntry): Promise<{ readonly results: number; readonly bytes: number } | null> {
    const limits = [entry.bytes, MAX_UNREAD.bytes, MAX_UNREAD.results];
    const keys = [this.#waiting, this.#sending];
    const reply = await this.#redis.eval(RESERVE, 2, ...keys, lineOf(entry), ...limits, SENDING_MS, KEYS_TTL_SECONDS);
    if (!Array.isArray(reply)) return null;
    return { results: Number(reply[0]), bytes: Number(reply[1]) };
  }

  /** Adds a result whose chunks have been written. */
  async send(entry: ResultEntry, header: string): Promise<void> {
    const keys = [this.#waiting, this.#sending, this.bell, this.header(entry)];
    const times = [RESULT_TTL_SECONDS, KEYS_TTL_SECONDS];
    await this.#redis.eval(SEND, keys.length, ...keys, lineOf(entry), header, ...times, RING);
  }

  /**
   * Takes the oldest result out of the queue, by a call that may reach Redis twice.
   * @param call names the call
   * @returns null if none waits; no `entry` if it is not one that a client writes; the header is cut after
   * `maxHeaderBytes` and one more
   * @throws Fenced; RedisUnusable if somebody has flooded the queue
   */
  async take(
    fence: Fence,
    call: string,
    maxHeaderBytes: number,
  ): Promise<{ readonly entry: ResultEntry | null; readonly header: string } | null> {
    const headers = `${this.#keys.tensors}:`;
    const args = [call, headers, maxHeaderBytes, KEYS_TTL_SECONDS];
    const reply = await fence.script(TAKE, [this.#keys.taken, this.#waiting], args);
    if (typeof reply === 'number') throw flooded('results', reply);
    if (!Array.isArray(reply)) return null;
    const [line, header]: unknown[] = reply;
    return { entry: entryIn(String(line)), header: String(header) };
  }
}

const lineOf = ({ name, bytes, sha256 }: ResultEntry): string => `${name} ${bytes} ${sha256}`;

function entryIn(line: string): ResultEntry | null {
  const [, name, bytes, sha256] = ENTRY.exec(line) ?? [];
  return name === undefined || sha256 === undefined ? null : { name, bytes: Number(bytes), sha256 };
}
