/** An error that the user can act on: printed as `error: message` and `hint: …`, without a stack trace. */
export class UserError extends Error {
  override readonly name: string = 'UserError';
  /** What to do about it, in one sentence. */
  readonly hint: string | undefined;

  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.hint = options.hint;
  }
}

/** The message of any thrown value. */
export const errorMessage = (error: unknown): string => (error instanceof Error ? error.message : String(error));
