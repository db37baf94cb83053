import { UserError } from '../../../crds/facts/user-error.ts';

/** Redis cannot serve as a job's data plane. */
export class RedisUnusable extends UserError {
  override readonly name = 'RedisUnusable';
}

/** It did not answer, which may pass; everything else that makes it unusable stays until somebody changes it. */
export class RedisUnreachable extends RedisUnusable {}

/**
 * Redis does not know the user or the password. It may have been restarted without its users, which the operator makes
 * again.
 */
export class RedisUnknownUser extends RedisUnusable {}

/** A key of the job holds a value that none of its pods wrote. */
export const foreignValue = (key: string): RedisUnusable =>
  new RedisUnusable(`Redis holds something under ${key} that no pod of the job wrote`, {
    hint: 'Find out who writes to keys fedbiot:*, and remove this key.',
  });
