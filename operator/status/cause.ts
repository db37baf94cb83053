import type { Standing } from '../objects/outcome.ts';

/** The end of the name of a pod that Kubernetes has named, in its alphabet. */
const SUFFIX = /-[bcdfghjklmnpqrstvwxz2456789]{5}\b/g;

/** The kubelet's words, before those of the last try, while it pauses between two tries to pull an image. */
const PAUSE = /Back-off pulling image "[^"]*": ErrImagePull: /;

/**
 * What a reason and its message are about, to be compared with that of another time. The scheduler counts nodes by
 * reason, in the order of their counts; the Job controller names a pod of each try; the kubelet alternates between a
 * try and a pause. None of these is another cause.
 */
export function causeOf({ reason, message }: Standing): string {
  const [of, text] = PAUSE.test(message) ? ['ErrImagePull', message.replace(PAUSE, '')] : [reason, message];
  const parts = text
    .replace(SUFFIX, '')
    .replace(/\d+/g, '')
    .split(/[.,:;](?:\s|$)/);
  return [of, ...new Set(parts.map((part) => part.trim()).sort())].join('\n');
}
