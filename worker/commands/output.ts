import { systemFailure } from '../files/system-failure.ts';

/**
 * Keeps a run alive when its standard output fails, because its results are on disk. The reader may exit (`fedbiot run
 * … --json | head`), or the disk that holds a log may be full. A full disk is reported at the end of the run; a closed
 * pipe is not an error.
 * @param report prints a failure and sets the exit code
 */
export function tolerateOutputErrors(report: (failure: unknown) => void): void {
  let first: NodeJS.ErrnoException | null = null;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => (first ??= error));
  // An error of stderr cannot be printed.
  process.stderr.on('error', () => undefined);
  process.once('beforeExit', () => {
    if (first !== null && first.code !== 'EPIPE') report(systemFailure(first, 'cannot print all of the output'));
  });
}
