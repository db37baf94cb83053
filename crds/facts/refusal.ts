import Type from 'typebox';
import type { Static } from 'typebox';
import { count } from '../json-schema/fields.ts';

/** Why a result was refused. */
export const REFUSAL_REASONS = [
  'late',
  'duplicate',
  'wrong-round',
  'unknown-client',
  'wrong-digest',
  'wrong-shape',
  'not-finite',
  'malformed',
  'too-large',
] as const;

export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export const RefusalCount = count('Number of results.');

/** Number of refused results in the whole run, by reason. */
export const RefusalCounts = Type.Partial(Type.Record(Type.Enum([...REFUSAL_REASONS]), RefusalCount));

export type RefusalCounts = Static<typeof RefusalCounts>;

const UNSETTLING: readonly RefusalReason[] = ['late', 'wrong-round', 'duplicate', 'unknown-client'];

/**
 * Whether a refusal settles what its client contributes to the current round. Results of another round, and second
 * results, do not.
 */
export const settlesClient = (reason: RefusalReason): boolean => !UNSETTLING.includes(reason);

/** A refused result: counted by `reason`, explained in `message`, never aggregated. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
