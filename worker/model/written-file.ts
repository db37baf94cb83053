import { UserError } from '../../crds/facts/user-error.ts';
import { SystemFailure } from '../files/system-failure.ts';

/**
 * Reads from a file that this program wrote into a cache, whole or not at all: if it is not usable, it was damaged.
 * @throws UserError of `read`, with the hint that the file can be removed
 */
export function readWritten<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof UserError) || error instanceof SystemFailure) throw error;
    throw new UserError(error.message, { hint: 'Remove the file: it is created again.', cause: error });
  }
}
