/**
 * `work`, or the signal's reason as soon as it aborts: for work that has nothing to put in order, and may wait for
 * ever.
 */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const leave = () => reject(signal.reason);
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([aborted, work]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

/** Aborts a while after `signal` has, with its reason: for work that has something to put in order. */
export function later(signal: AbortSignal, milliseconds: number): AbortSignal {
  const controller = new AbortController();
  signal.addEventListener('abort', () => void setTimeout(() => controller.abort(signal.reason), milliseconds), {
    once: true,
  });
  return controller.signal;
}
