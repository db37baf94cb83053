import type { Redis } from 'ioredis';

/** Keys that Redis looks at in one step, which blocks it. */
const SCAN_COUNT = 500;

/** Time limit, for a Redis whose list of keys does not end. */
const PATIENCE_MS = 60_000;

/**
 * A step of the pass. Names of keys stay in Redis, as pods choose them, of any length. ARGV: cursor, count, uids.
 */
const STEP = `
local unwanted = {}
for i = 3, #ARGV do unwanted[ARGV[i]] = true end
local page = redis.call('SCAN', ARGV[1], 'MATCH', 'fedbiot:{*', 'COUNT', ARGV[2])
local removed = 0
for _, key in ipairs(page[2]) do
  local uid = string.match(key, '^fedbiot:{([^}]*)}:')
  if uid and unwanted[uid] then removed = removed + redis.call('UNLINK', key) end
end
return {page[1], removed}
`;

/**
 * Removes all keys of jobs from a node, by one pass over the node's keys. Keys that a running pod writes afterwards
 * expire by their TTL.
 * @returns the number of removed keys
 */
export async function removeJobKeys(node: Redis, uids: readonly string[]): Promise<number> {
  const began = performance.now();
  let removed = 0;
  let cursor: unknown = '0';
  do {
    const reply: unknown = await node.eval(STEP, 0, String(cursor), SCAN_COUNT, ...uids);
    const [next, count]: unknown[] = Array.isArray(reply) ? reply : [];
    removed += Number(count);
    cursor = next;
    if (performance.now() - began > PATIENCE_MS)
      throw new Error(`Redis lists keys for more than ${PATIENCE_MS / 1000} s`);
  } while (cursor !== '0');
  return removed;
}
