import { createHmac } from 'node:crypto';

/**
 * A secret of a job, of 256 bits, that nobody can guess who has not the operator's key: the same whenever it is asked for, so that what is
 * deleted under running pods is made again as they know it. `purpose` names it among those of the job.
 */
export const derivedSecret = (key: string, uid: string, purpose: string): string =>
  createHmac('sha256', key).update(JSON.stringify([uid, purpose])).digest('base64url');

/** Whether an operator may have made it, with whatever key: what somebody wrote in its place is not taken. */
export const isSecret = (text: string): boolean => /^[\w-]{43}$/.test(text);
