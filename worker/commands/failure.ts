import { EXIT } from '../../crds/facts/exit-codes.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { printable, printableLines } from '../../crds/facts/printable.ts';
import { SystemFailure, systemFailure } from '../files/system-failure.ts';

/**
 * The text that a failed command prints, and its exit code. Errors of the user or the machine are printed without a
 * stack trace; any other error is a bug in fedbiot.
 */
export function describeFailure(thrown: unknown, version: string): { text: string; code: number } {
  const error = systemFailure(thrown);
  if (error instanceof UserError) {
    const hint = error.hint === undefined ? '' : `hint: ${printable(error.hint)}\n`;
    return {
      text: `error: ${printableLines(error.message)}\n${hint}`,
      code: error instanceof SystemFailure ? error.exitCode : EXIT.invalid,
    };
  }
  const stack = error instanceof Error ? (error.stack ?? String(error)) : String(error);
  const cause = error instanceof Error && error.cause !== undefined ? `\ncaused by: ${String(error.cause)}` : '';
  const where = `fedbiot ${version}, Node ${process.version}, ${process.platform} ${process.arch}`;
  return {
    text: `${stack}${cause}\n\nThis is a bug in fedbiot. Please report it with the lines above, the command, and: ${where}\n`,
    code: EXIT.failed,
  };
}
