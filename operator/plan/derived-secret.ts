import { createHmac } from 'node:crypto';

/**
 * A secret of a job, of 256 bits, that cannot be guessed without the operator's key. It is always the same, so that a
 * Secret that is deleted under running pods can be created again. `purpose` names it among those of the job.
 */
export const derivedSecret = (key: string, uid: string, purpose: string): string =>
  createHmac('sha256', key)
    .update(JSON.stringify([uid, purpose]))
    .digest('base64url');

/** Whether an operator may have made it, with whatever key: what somebody wrote in its place is not taken. */
export const isSecret = (text: string): boolean => /^[\w-]{43}$/.test(text);
