import { RedisUnusable } from './unusable.ts';

/** Something lies under a key of the job that none of its pods wrote. */
export const foreign = (key: string): RedisUnusable =>
  new RedisUnusable(`Redis holds something under ${key} that no pod of the job wrote`, {
    hint: 'Find out who writes to keys fedbiot:*, and remove this key.',
  });
