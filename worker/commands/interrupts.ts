import { EXIT } from '../../crds/facts/exit-codes.ts';

const signals = ['SIGINT', 'SIGTERM'] as const;

/**
 * Ctrl-C and the termination signal: the first asks the run to stop where it can be gone on with, the second ends the
 * process at once. Returns how to give the signals back.
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
