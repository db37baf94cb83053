import { systemFailure } from '../system-failure.ts';

/**
 * What is printed must not end a run that writes its results to disk: a reader that goes away (`fedbiot run … --json | head`), a full disk
 * under a log. A full one is told in the end, once all else is done; a reader that has read enough is nobody's fault.
 * @param tell prints a failure and sets the exit code
 */
export function outliveOutput(tell: (failure: unknown) => void): void {
  let first: NodeJS.ErrnoException | null = null;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => (first ??= error));
  // Nobody would hear of it.
  process.stderr.on('error', () => undefined);
  process.once('beforeExit', () => {
    if (first !== null && first.code !== 'EPIPE') tell(systemFailure(first, 'cannot print all of the output'));
  });
}
