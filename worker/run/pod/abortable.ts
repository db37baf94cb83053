import type { ServerTransport } from '../../transport/contract.ts';

/**
 * Waits for `work`, or throws the signal's reason as soon as it aborts. For work that may block forever and needs no
 * cleanup.
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

/** A signal that aborts some time after `signal`, with the same reason. For work that needs time to clean up. */
export function abortLater(signal: AbortSignal, milliseconds: number): AbortSignal {
  const controller = new AbortController();
  signal.addEventListener('abort', () => void setTimeout(() => controller.abort(signal.reason), milliseconds), {
    once: true,
  });
  return controller.signal;
}

/** How long a call may take after the pod was told to stop, so that a result in transit is still received. */
const PATIENCE_MS = 5_000;

/**
 * A transport whose calls end soon after `signal` aborts. Otherwise they would wait for as long as Redis is
 * unavailable.
 */
export function interruptible(transport: ServerTransport, signal: AbortSignal): ServerTransport {
  const stopped = abortLater(signal, PATIENCE_MS);
  const bounded = <T>(call: Promise<T>): Promise<T> => abortable(call, stopped);
  return {
    publish: (round, roundPackage) => bounded(transport.publish(round, roundPackage)),
    dispatch: (task) => bounded(transport.dispatch(task)),
    receive: (until) => bounded(transport.receive(until)),
    unlink: (round) => bounded(transport.unlink(round)),
    close: () => transport.close(),
  };
}
