/** Why something that arrived was not used. */
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

/** What was sent must not be used: counted by `reason`, told in `message`, and never part of an aggregate. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
