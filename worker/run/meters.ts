import type { Compute } from '../engine/compute.ts';
import type { Provider } from '../engine/compute-protocol.ts';
import { processUsage } from '../engine/process-usage.ts';
import type { LocalTrainer, LocalTraining, Meter } from '../federation/contracts.ts';
import { SharedUse } from './shared-use.ts';
import type { Amounts } from './shared-use.ts';

/** Where a role computes. */
export interface Place {
  readonly provider: Provider;
  /** This process works for one role alone, so that its memory is that role's. */
  readonly ownProcess: boolean;
}

/** What trains, and does not know what it takes. */
export interface Training {
  train(input: Parameters<LocalTrainer['train']>[0]): Promise<LocalTraining>;
}

/** onnxruntime computes on the first GPU that it finds. */
const gpusOf = ({ provider }: Place): number => (provider === 'cuda' ? 1 : 0);

const usedHere = (): Amounts => ({
  cpuSeconds: processUsage().cpuSeconds,
  seconds: performance.now() / 1000,
});

/** Measures the server: this process, and the one that computes for it. */
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
 * Measures what each client's training takes: all of the compute process that it has to itself meanwhile, and its share
 * of what all have in common, this process and the GPU.
 *
 * @param used the processor time of this process and the clock, so far
 */
export function clientMeter(
  place: Place,
  used: () => Amounts = usedHere,
): (training: Training, compute: Pick<Compute, 'usage'>) => LocalTrainer {
  const common = new SharedUse(used);
  return (training, compute) => ({
    train: async (input) => {
      const before = await compute.usage();
      const { share, end } = common.begin();
      try {
        const update = await training.train(input);
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
