import { jobKeys, PROGRESS_CHANNEL, QUEUE, TENSOR } from '../../worker/cluster/redis-keys.ts';
import type { Role } from '../../crds/facts/role.ts';

/** The uid in the name of a job's user; null: it is not the user of a job. */
export const uidOfUser = (name: string): string | null =>
  /^fedbiot-([\w-]+)-(?:server|client)$/.exec(name)?.[1] ?? null;

/**
 * Commands of the roles and of BullMQ's scripts, which have the same permissions. Excluded are commands that affect
 * other users: administration, and enumeration of keys (SCAN, KEYS, RANDOMKEY).
 */
const COMMANDS = [
  '-@all',
  ...['string', 'hash', 'list', 'set', 'sortedset', 'stream', 'transaction'].map((category) => `+@${category}`),
  ...[
    'del',
    'unlink',
    'exists',
    'expire',
    'pexpire',
    'pexpireat',
    'persist',
    'ttl',
    'pttl',
    'type',
    'rename',
    'time',
  ].map((command) => `+${command}`),
  ...['eval', 'evalsha', 'script|exists', 'script|load'].map((command) => `+${command}`),
  ...['hello', 'ping', 'quit', 'client|setname', 'info', 'asking', 'readonly', 'cluster|slots', 'cluster|info'].map(
    (command) => `+${command}`,
  ),
  '-@admin',
  '-@dangerous',
  // INFO is in the category dangerous, but pods read version, mode and memory from it.
  '+info',
];

/**
 * ACL rules of a role's user, after `ACL SETUSER name`. The server may use all keys of its job. Clients may write the
 * queues and their results, and read what else they need. `readOnlyKeys`: Redis supports read-only keys, as from 7.0;
 * otherwise clients may write these keys too.
 * @param passwordSha256 hex
 */
export function aclRules(uid: string, role: Role, passwordSha256: string, readOnlyKeys: boolean): string[] {
  const { prefix, tensors, ended, finished, bundle } = jobKeys(uid);
  const login = ['reset', 'on', `#${passwordSha256}`, ...COMMANDS];
  if (role === 'server') return [...login, '+publish', `&${PROGRESS_CHANNEL}`, `~${prefix}:*`];
  const written = [...Object.values(QUEUE).map((queue) => `${prefix}:${queue}:*`), `${tensors}:${TENSOR.result}*`];
  const read = [`${tensors}:${TENSOR.package}*`, `${ended}:*`, finished, bundle];
  return [
    ...login,
    ...written.map((pattern) => `~${pattern}`),
    ...read.map((pattern) => `${readOnlyKeys ? '%R' : ''}~${pattern}`),
  ];
}
