import type { Redis } from 'ioredis';
import { errorMessage } from '../../crds/facts/user-error.ts';
import type { RedisUsersStanding } from '../objects/redis-standing.ts';

/** Created and removed again, to see whether the operator may do so. */
const PROBE = 'fedbiot-probe';

/** Asks every node; resolves to their answers. */
type AskNodes = (ask: (node: Redis) => Promise<unknown>) => Promise<unknown[]>;

/**
 * Finds out whether users can be created in this Redis, and what keeps them apart there. Rejects with what a node
 * answers.
 */
export async function probe(onEveryNode: AskNodes): Promise<RedisUsersStanding> {
  const create = (...rules: readonly string[]) =>
    onEveryNode((node) => node.call('ACL', 'SETUSER', PROBE, 'reset', ...rules));
  await create();
  const readOnlyKeys = await create('%R~fedbiot:*').then(
    () => true,
    (error: unknown) => {
      // Redis 6.2 does not know such keys.
      if (errorMessage(error).includes('%R~')) return false;
      throw error;
    },
  );
  await onEveryNode((node) => node.call('ACL', 'DELUSER', PROBE));
  const users = (await onEveryNode((node) => node.call('ACL', 'LIST'))).flat();
  return { kind: 'ready', readOnlyKeys, isOpen: users.some((line) => isOpenDefault(String(line))) };
}

/**
 * Conditions that Redis reports about itself (loading, busy, a cluster that is down) pass; a command that it lacks or
 * forbids stays so.
 */
export function standingAfter(error: unknown): RedisUsersStanding {
  const reason = errorMessage(error);
  return { kind: /^(NOPERM|ERR)\b/.test(reason) ? 'refused' : 'away', reason };
}

/** A line of ACL LIST: the default user, active, without a password and with permissions. */
const isOpenDefault = (line: string): boolean => /^user default on .*\bnopass\b/.test(line) && !/ -@all$/.test(line);
