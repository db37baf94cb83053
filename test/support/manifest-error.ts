import { ManifestError, parseManifest } from '../../crds/parse.ts';

/** The error with which a manifest is refused. */
export function manifestError(text: string): ManifestError {
  try {
    parseManifest(text, 'job.yaml');
  } catch (error) {
    if (error instanceof ManifestError) return error;
    throw error;
  }
  throw new Error(`accepted:\n${text}`);
}
