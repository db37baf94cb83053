import type { Standing } from '../objects/outcome.ts';

/** The end of the name of a pod that Kubernetes has named, in its alphabet. */
const SUFFIX = /-[bcdfghjklmnpqrstvwxz2456789]{5}\b/g;

/**
 * What a reason and its message are about, to be compared with that of another time. The scheduler counts nodes by
 * reason, in the order of their counts, and the Job controller names a pod of each try: neither is another cause.
 */
export function causeOf({ reason, message }: Standing): string {
  const parts = message
    .replace(SUFFIX, '')
    .replace(/\d+/g, '')
    .split(/[.,:;](?:\s|$)/);
  return [reason, ...new Set(parts.map((part) => part.trim()).sort())].join('\n');
}
