import type { RedisNodes } from './nodes.ts';

/** Bytes. */
export interface RedisMemory {
  readonly used: number;
  /** 0: no limit. */
  readonly max: number;
}

/** The memory that Redis reports, or the fullest master of a cluster; null: unknown. Rejects if it does not answer. */
export async function readRedisMemory(nodes: RedisNodes): Promise<RedisMemory | null> {
  const infos = await Promise.all((await nodes.masters()).map((node) => node.info('memory')));
  return fullest(infos.flatMap((info) => memoryIn(info) ?? []));
}

/** The memory in an answer to INFO. */
export function memoryIn(info: string): RedisMemory | null {
  const [used, max] = [bytesIn(info, 'used_memory'), bytesIn(info, 'maxmemory')];
  return used === null || max === null ? null : { used, max };
}

function bytesIn(info: string, field: string): number | null {
  const bytes = Number(new RegExp(`^${field}:(\\d{1,16})\\r?$`, 'm').exec(info)?.[1]);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** The one that is fullest relative to its limit; among those without a limit, the largest. */
export function fullest(memories: readonly RedisMemory[]): RedisMemory | null {
  const [first] = [...memories].sort((a, b) => fullness(b) - fullness(a) || b.used - a.used);
  return first ?? null;
}

const fullness = ({ used, max }: RedisMemory): number => (max === 0 ? 0 : used / max);
