import { NO_COST } from '../cost/run-cost.ts';
import type { RoleCost } from '../../crds/facts/cost.ts';
import type { Meter } from './contracts.ts';
import type { Clock } from './clock.ts';

/** The duration and the cost of a piece of the server's work. */
export interface Spent {
  readonly seconds: number;
  readonly cost: RoleCost;
}

export interface Measured {
  readonly clock: Pick<Clock, 'now'>;
  readonly meter: Meter;
}

/** A meter that always reads zero. */
export const unmetered: Meter = { gpus: 0, read: async () => ({ cpuSeconds: 0, peakMemoryBytes: 0 }) };

/** Starts to measure a piece of work. Call the returned function at its end. */
export async function measure({ clock, meter }: Measured): Promise<(tokens?: number) => Promise<Spent>> {
  const before = await meter.read();
  const began = clock.now();
  return async (tokens = 0) => {
    const seconds = clock.now() - began;
    const { cpuSeconds, peakMemoryBytes } = await meter.read();
    return {
      seconds,
      cost: { cpuSeconds: cpuSeconds - before.cpuSeconds, gpuSeconds: seconds * meter.gpus, tokens, peakMemoryBytes },
    };
  };
}

export const NOTHING_SPENT: Spent = { seconds: 0, cost: NO_COST };
