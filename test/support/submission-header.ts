import type { Submission } from '../../worker/transport/contract.ts';

/** The submission with another header: fields replaced, and left out where undefined. */
export function changeHeader(submission: Submission, changes: Readonly<Record<string, unknown>>): Submission {
  return { ...submission, header: JSON.stringify({ ...JSON.parse(submission.header), ...changes }) };
}
