import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorMessage, UserError } from '../../crds/facts/user-error.ts';

/**
 * The local path that a URI names: a path, relative to `baseDirectory`, or a file:// URL. For hints, `forms` lists what
 * the caller accepts, and `example` completes the example of a URL.
 * @throws UserError for any other scheme, and for a URL that is not a local path
 */
export function localPath(
  uri: string,
  { baseDirectory = '', forms, example }: { baseDirectory?: string; forms: string; example: string },
): string {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(uri)?.[1]?.toLowerCase();
  if (scheme === undefined) return resolve(baseDirectory, uri);
  if (scheme !== 'file') throw new UserError(`${uri}: ${scheme}:// is not supported`, { hint: forms });
  try {
    return fileURLToPath(uri);
  } catch (cause) {
    throw new UserError(`${uri} is not the URL of a local path: ${errorMessage(cause)}`, {
      hint: `A file URL has three slashes and no %2F: file:///path/to/${example}.`,
      cause,
    });
  }
}
