import type { ServerTransport } from '../../transport/contract.ts';
import { abortable, later } from './abortable.ts';

/** How long a call may take after the pod was told to stop: an arrival that is on its way is still taken. */
const PATIENCE_MS = 5_000;

/** A transport whose calls do not outlast the order to stop: while Redis is away they would wait for it. */
export function interruptible(transport: ServerTransport, signal: AbortSignal): ServerTransport {
  const late = later(signal, PATIENCE_MS);
  const bounded = <T>(call: Promise<T>): Promise<T> => abortable(call, late);
  return {
    publish: (round, roundPackage) => bounded(transport.publish(round, roundPackage)),
    dispatch: (task) => bounded(transport.dispatch(task)),
    receive: (until) => bounded(transport.receive(until)),
    unlink: (round) => bounded(transport.unlink(round)),
    close: () => transport.close(),
  };
}
