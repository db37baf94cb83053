import type { StepEvent } from '../../crds/facts/events.ts';
import { TransportClosed } from '../transport/contract.ts';
import type { ClientTransport, Delivery, Submission, Task } from '../transport/contract.ts';
import { SystemFailure, systemFailure } from '../files/system-failure.ts';
import { Refused } from '../../crds/facts/refusal.ts';
import type { LocalTrainer, LoraLayouts, LoraState, OnSweep } from './contracts.ts';
import { requireFinite } from './diverged.ts';
import { openRound, roundBytes } from './lora-package.ts';
import { encodeFailure, encodeUpdate } from './result.ts';
import type { LocalStep } from './result.ts';

export interface ClientWorkerOptions {
  readonly transport: ClientTransport;
  readonly trainer: LocalTrainer;
  readonly layouts: LoraLayouts;
  /** Receives every local step as it is computed. */
  readonly onStep: (step: Omit<StepEvent, 'event'>) => void;
  readonly onSweep: OnSweep;
  /** Ends the worker. Its current task is returned, for another worker or a resumed run. */
  readonly signal: AbortSignal;
}

/**
 * Works on tasks, one at a time, until the transport closes or `signal` aborts. Several workers may run in parallel: a
 * client's result depends on the round's package and the client's data, not on which worker trains it or when.
 * @throws SystemFailure if this machine could not carry out a task
 */
export async function runClientWorker(options: ClientWorkerOptions): Promise<void> {
  const { transport, signal } = options;
  const open = packageCache(options);
  try {
    for (;;) {
      const delivery = await transport.take(signal);
      if (delivery === null) return;
      const submission = await answer(delivery, open, options);
      if (submission !== null) await transport.submit(delivery, submission);
    }
  } catch (error) {
    if (!(error instanceof TransportClosed)) throw error;
  } finally {
    await transport.close();
  }
}

/** Carries out a task. Null if its result is no longer wanted. */
async function answer(
  { task, withdrawn }: Delivery,
  open: (task: Task) => Promise<LoraState>,
  { trainer, layouts, onStep, onSweep, signal }: ClientWorkerOptions,
): Promise<Submission | null> {
  const { round, client } = task;
  const stop = AbortSignal.any([signal, withdrawn]);
  const steps: LocalStep[] = [];
  let lora: LoraState;
  try {
    lora = await open(task);
  } catch (error) {
    if (stop.aborted || error instanceof TransportClosed) return null;
    // A failure of the transport is not a failure of the client.
    if (!(error instanceof Refused)) throw error;
    // The round ended between the task and its package.
    return error.reason === 'late' ? null : encodeFailure(task, error);
  }
  try {
    const update = await trainer.train({
      round,
      client,
      lora,
      onStep: (step) => {
        steps.push(step);
        onStep(step);
      },
      onSweep,
      signal: stop,
    });
    requireFinite(layouts.adapter, update.adapter, 'the local training');
    return encodeUpdate(layouts.adapter, task, update, steps);
  } catch (error) {
    if (stop.aborted) return null;
    // Memory, a disk or a compute process failed in this worker, not the client. The task goes to another worker.
    const failure = systemFailure(error);
    if (failure instanceof SystemFailure) throw failure;
    return encodeFailure(task, error);
  }
}

/** Fetches round packages and caches the last one: all clients of a round start from the same package. */
function packageCache({ transport, layouts }: ClientWorkerOptions): (task: Task) => Promise<LoraState> {
  let last: { sha256: string; lora: LoraState } | null = null;
  return async (task) => {
    if (last?.sha256 === task.sha256) return last.lora;
    const expected = roundBytes(layouts, task);
    if (task.bytes !== expected)
      throw new Refused(
        'too-large',
        `the task announces a package of ${task.bytes} bytes, but a round package has ${expected}`,
      );
    const lora = openRound(layouts, await transport.fetch(task), task);
    last = { sha256: task.sha256, lora };
    return lora;
  };
}
