import { UserError } from '../../../crds/facts/user-error.ts';

/** Redis cannot serve as a job's data plane. */
export class RedisUnusable extends UserError {
  override readonly name = 'RedisUnusable';
}

/** Redis does not answer, or refuses commands for now: a retry may help. Any other problem needs a change. */
export class RedisUnreachable extends RedisUnusable {}

/**
 * Redis does not know the user or the password. It may have been restarted without its users, which the operator then
 * creates again.
 */
export class RedisUnknownUser extends RedisUnusable {}

/** A key of the job holds a value that none of its pods wrote. */
export const foreignValue = (key: string): RedisUnusable =>
  new RedisUnusable(`Redis holds something under ${key} that no pod of the job wrote`, {
    hint: 'Find out who writes to keys fedbiot:*, and remove this key.',
  });
