import Type from 'typebox';
import type { Static } from 'typebox';
import { number, orNull } from '../json-schema/fields.ts';

/** Score of one model in an evaluation. */
export const Score = Type.Object({
  accuracy: orNull(
    number('Accuracy in [0, 1], as the task defines it; absent for task loss.', { minimum: 0, maximum: 1 }),
  ),
  f1: Type.Optional(
    number('Mean word overlap in [0, 1] with the best accepted answer; absent for a task without partial credit.', {
      minimum: 0,
      maximum: 1,
    }),
  ),
  loss: number('Mean negative log-likelihood over all labelled tokens, in nats.'),
});

export type Score = Static<typeof Score>;
