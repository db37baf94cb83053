import type { Redis } from 'ioredis';
import { errorMessage } from '../../crds/facts/user-error.ts';
import type { RedisUsersStanding } from '../objects/redis-standing.ts';

/** A user that is created and removed, to test the permission for it. */
const PROBE = 'fedbiot-probe';

/** Asks every node, and resolves to their answers. */
type AskNodes = (ask: (node: Redis) => Promise<unknown>) => Promise<unknown[]>;

/** Tests whether users can be created in this Redis, and how they are isolated there. Rejects with a node's error. */
export async function probe(onEveryNode: AskNodes): Promise<RedisUsersStanding> {
  const create = (...rules: readonly string[]) =>
    onEveryNode((node) => node.call('ACL', 'SETUSER', PROBE, 'reset', ...rules));
  await create();
  const readOnlyKeys = await create('%R~fedbiot:*').then(
    () => true,
    (error: unknown) => {
      // Redis 6.2 has no read-only keys.
      if (errorMessage(error).includes('%R~')) return false;
      throw error;
    },
  );
  await onEveryNode((node) => node.call('ACL', 'DELUSER', PROBE));
  const users = (await onEveryNode((node) => node.call('ACL', 'LIST'))).flat();
  return { kind: 'ready', readOnlyKeys, isOpen: users.some((line) => isOpenDefault(String(line))) };
}

/**
 * The standing after an error. Conditions of Redis itself (loading, busy, a cluster that is down) are temporary; a
 * command that it lacks or forbids is not.
 */
export function standingAfter(error: unknown): RedisUsersStanding {
  const reason = errorMessage(error);
  return { kind: /^(NOPERM|ERR)\b/.test(reason) ? 'refused' : 'away', reason };
}

/** A line of ACL LIST: the default user, active, without a password and with permissions. */
const isOpenDefault = (line: string): boolean => /^user default on .*\bnopass\b/.test(line) && !/ -@all$/.test(line);
