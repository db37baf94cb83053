import type { StepEvent } from '../../crds/facts/events.ts';
import { MemoryTransport } from '../transport/memory.ts';
import { runClientWorker } from './client-worker.ts';
import type { LocalTrainer } from './contracts.ts';
import { coordinate } from './coordinator.ts';
import type { Coordination, Outcome } from './coordinator.ts';

/**
 * Runs a federation in one process: the coordinator, and one client worker per trainer. The number of trainers only
 * affects the duration.
 * @param federation.onSweep receives also the progress of the states that clients wait for
 * @param federation.onLocalStep receives each client's steps as they are computed, including those of results that are
 * never accepted; `emit` receives the steps of a client once, when its result is accepted
 */
export async function federateInProcess(
  federation: Omit<Coordination, 'transport' | 'sharesProcesses'> & {
    readonly trainers: readonly LocalTrainer[];
    readonly onLocalStep: (step: Omit<StepEvent, 'event'>) => void;
  },
): Promise<Outcome> {
  const { trainers, onLocalStep, onSweep, layouts } = federation;
  const transport = new MemoryTransport();
  const stop = new AbortController();
  const signal = AbortSignal.any([federation.signal, stop.signal]);
  const workers = trainers.map((trainer) =>
    runClientWorker({ transport: transport.connect(), trainer, layouts, onStep: onLocalStep, onSweep, signal }).catch(
      (error: unknown) => {
        // Without this, the coordinator would wait forever for a worker that has failed outside of training.
        stop.abort(error);
        throw error;
      },
    ),
  );
  const settled = Promise.allSettled(workers);
  let outcome: Outcome;
  try {
    outcome = await coordinate({ ...federation, transport, sharesProcesses: true, signal });
  } finally {
    stop.abort();
    await transport.close();
    await settled;
  }
  await Promise.all(workers);
  return outcome;
}
