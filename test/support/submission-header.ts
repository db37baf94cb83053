import type { Submission } from '../../worker/transport/contract.ts';

/** The submission with some fields of its header replaced, or removed if undefined. */
export function changeHeader(submission: Submission, changes: Readonly<Record<string, unknown>>): Submission {
  return { ...submission, header: JSON.stringify({ ...JSON.parse(submission.header), ...changes }) };
}
