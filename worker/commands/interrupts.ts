import { EXIT } from '../../crds/facts/exit-codes.ts';

const signals = ['SIGINT', 'SIGTERM'] as const;

/**
 * Handles SIGINT and SIGTERM. The first signal asks the run to stop at a point from which it can be resumed; the second
 * ends the process at once.
 * @returns removes the handlers
 */
export function listenForInterrupts(stop: AbortController, note: (line: string) => void): () => void {
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(EXIT.interrupted);
    stop.abort(new Error('interrupted'));
    note('finishing the step, writing a checkpoint; press again to stop now');
  };
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}
