import type { Role } from '../../crds/facts/role.ts';

/** Passwords of a job's users in the operator's Redis, by role. */
export type RolePasswords = Readonly<Record<Role, string>>;

/** Whether the operator can create users for jobs in its Redis. `reason`: why not, as Redis reports it. */
export type RedisUsersStanding =
  /**
   * `readOnlyKeys`: Redis supports read-only keys. `isOpen`: its default user needs no password, so separate users
   * protect nothing.
   */
  | { readonly kind: 'ready'; readonly readOnlyKeys: boolean; readonly isOpen: boolean }
  | { readonly kind: 'refused' | 'away'; readonly reason: string };
