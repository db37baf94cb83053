import type { Compute } from '../engine/compute.ts';
import type { Provider } from '../engine/compute-protocol.ts';
import { processUsage } from '../engine/process-usage.ts';
import type { LocalTrainer, LocalTraining, Meter } from '../federation/contracts.ts';
import { SharedUse } from './shared-use.ts';
import type { Amounts } from './shared-use.ts';

/** The device and process in which a role computes. */
export interface Place {
  readonly provider: Provider;
  /** This process serves only one role, so its memory is counted for that role. */
  readonly ownProcess: boolean;
}

/** A trainer without usage measurement. */
export interface UnmeteredTrainer {
  train(input: Parameters<LocalTrainer['train']>[0]): Promise<LocalTraining>;
}

/** onnxruntime uses the first GPU that it finds. */
const gpusOf = ({ provider }: Place): number => (provider === 'cuda' ? 1 : 0);

const usedHere = (): Amounts => ({
  cpuSeconds: processUsage().cpuSeconds,
  seconds: performance.now() / 1000,
});

/** Measures the server: this process and its compute process. */
export function serverMeter(compute: Pick<Compute, 'usage'>, place: Place): Meter {
  return {
    gpus: gpusOf(place),
    read: async () => {
      const there = await compute.usage();
      const here = processUsage();
      return {
        cpuSeconds: here.cpuSeconds + there.cpuSeconds,
        peakMemoryBytes: there.peakMemoryBytes + (place.ownProcess ? here.peakMemoryBytes : 0),
      };
    },
  };
}

/**
 * Measures the resources of each client's training: all of its compute process, which it does not share meanwhile, and
 * its share of this process and the GPU.
 *
 * @param used returns the CPU time of this process and the clock
 */
export function clientMeter(
  place: Place,
  used: () => Amounts = usedHere,
): (trainer: UnmeteredTrainer, compute: Pick<Compute, 'usage'>) => LocalTrainer {
  const common = new SharedUse(used);
  return (trainer, compute) => ({
    train: async (input) => {
      const before = await compute.usage();
      const { share, end } = common.begin();
      try {
        const update = await trainer.train(input);
        const after = await compute.usage();
        end();
        const use = {
          cpuSeconds: share.cpuSeconds + after.cpuSeconds - before.cpuSeconds,
          gpuSeconds: share.seconds * gpusOf(place),
          peakMemoryBytes: after.peakMemoryBytes + (place.ownProcess ? processUsage().peakMemoryBytes : 0),
        };
        return { ...update, use };
      } finally {
        end();
      }
    },
  });
}
