import { createHmac } from 'node:crypto';

/**
 * A secret of 256 bits for a job, which cannot be guessed without the operator's key. It is deterministic, so that a
 * Secret that was deleted while pods run can be created again. `purpose` distinguishes the secrets of a job.
 */
export const derivedSecret = (key: string, uid: string, purpose: string): string =>
  createHmac('sha256', key)
    .update(JSON.stringify([uid, purpose]))
    .digest('base64url');

/** Whether a text has the form of such a secret, under any key. Values that others wrote in its place are ignored. */
export const isSecret = (text: string): boolean => /^[\w-]{43}$/.test(text);
