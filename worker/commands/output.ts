import { systemFailure } from '../files/system-failure.ts';

/**
 * Keeps a run that writes its results to disk alive if its output fails: a reader that goes away (`fedbiot run … --json
 * | head`), a full disk under a log. A full disk is reported at the end of the run; a closed pipe is not an error.
 * @param tell prints a failure and sets the exit code
 */
export function outliveOutput(tell: (failure: unknown) => void): void {
  let first: NodeJS.ErrnoException | null = null;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => (first ??= error));
  // It could not be printed.
  process.stderr.on('error', () => undefined);
  process.once('beforeExit', () => {
    if (first !== null && first.code !== 'EPIPE') tell(systemFailure(first, 'cannot print all of the output'));
  });
}
