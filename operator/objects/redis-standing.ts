import type { Role } from '../../crds/facts/role.ts';

/** Passwords of the users that a job's roles have in the operator's Redis. */
export type RolePasswords = Readonly<Record<Role, string>>;

/** Whether the operator's Redis lets it create users for jobs. `reason`: why not, in Redis's words. */
export type RedisUsersStanding =
  /**
   * `readOnlyKeys`: Redis supports read-only keys. `isOpen`: its default user needs no password, so that users protect
   * nothing.
   */
  | { readonly kind: 'ready'; readonly readOnlyKeys: boolean; readonly isOpen: boolean }
  | { readonly kind: 'refused' | 'away'; readonly reason: string };
