import { layoutOf } from '../../worker/safetensors/tensor-layout.ts';
import { randomStream } from '../../worker/random.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import type { Score } from '../../crds/facts/score.ts';
import type {
  Aligner,
  Evaluator,
  LocalTrainer,
  LoraLayouts,
  LoraState,
  TrainingState,
} from '../../worker/federation/contracts.ts';
import type { FederationSettings } from '../../worker/federation/round-context.ts';

/*
 * A federation with a real optimisation and a known optimum. Client c minimises ½‖a - θc‖² over the adapter a by
 * gradient steps. The emulator e follows the adapter: ½‖e - M a‖², by gradient steps with momentum. As all clients take
 * the same number of steps at the same rate, FedAvg converges to the mean of the θc, weighted by samples.
 */

export const layouts: LoraLayouts = {
  adapter: layoutOf([
    { name: 'layers.0.q_proj.lora_A', shape: [4, 6] },
    { name: 'layers.0.q_proj.lora_B', shape: [5, 4] },
  ]),
  emulator: layoutOf([{ name: 'layers.0.v_proj.lora_A', shape: [2, 8] }]),
};

export const SEED = 11;
const LOCAL_RATE = 0.2;
const ALIGN_RATE = 0.15;
const MOMENTUM = 0.5;

/** The adapter that fits the data of client c. */
function optimum(client: number): Float32Array {
  const random = randomStream(SEED, 'optimum', client);
  return Float32Array.from({ length: layouts.adapter.size }, () => random.normal());
}

export const samplesOf = (client: number) => 10 + 7 * client;

export function initialLora(): LoraState {
  const random = randomStream(SEED, 'initial');
  return {
    adapter: Float32Array.from({ length: layouts.adapter.size }, () => random.normal()),
    emulator: Float32Array.from({ length: layouts.emulator.size }, () => random.normal()),
  };
}

/** ½‖a - b‖² */
export function halfSquaredDistance(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / 2;
}

/** Lets the event loop turn once, as between the steps of a compute process. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

export function localTrainer({ steps }: { steps: number }): LocalTrainer {
  return {
    train: async ({ round, client, lora, onStep, signal }) => {
      const goal = optimum(client);
      const adapter = lora.adapter.slice();
      const losses: number[] = [];
      for (let step = 0; step < steps; step++) {
        await turn();
        signal.throwIfAborted();
        const loss = halfSquaredDistance(adapter, goal);
        if (!Number.isFinite(loss))
          throw new UserError(`the loss of step ${step} is not finite`, { hint: 'Lower the learning rate.' });
        adapter.forEach((value, i) => (adapter[i] = value - LOCAL_RATE * (value - goal[i]!)));
        losses.push(loss);
        onStep({ phase: 'local', round, client, step, loss, tokens: 8, ms: 0 });
      }
      return {
        adapter,
        samples: samplesOf(client),
        losses,
        tokens: 8 * steps,
        use: { cpuSeconds: steps, gpuSeconds: 0, peakMemoryBytes: 1000 + client },
      };
    },
  };
}

/** The optimal emulator for this adapter: M a, where M is a cyclic mean of pairs. */
export function emulatorGoal(adapter: Float32Array): Float32Array {
  return Float32Array.from({ length: layouts.emulator.size }, (_, i) => (adapter[i]! + adapter[i + 1]!) / 2);
}

export function quadraticAligner({
  initialSteps,
  stepsPerRound,
}: {
  initialSteps: number;
  stepsPerRound: number;
}): Aligner {
  const steps = (round: number) => (round === 1 ? initialSteps + stepsPerRound : stepsPerRound);
  return {
    steps,
    align: async ({ round, lora, from, onStep, signal }) => {
      const goal = emulatorGoal(lora.adapter);
      let state: TrainingState = from ?? {
        step: 0,
        parameters: lora.emulator,
        moments: [new Float32Array(goal.length)],
        losses: [],
      };
      while (state.step < steps(round)) {
        if (signal.aborted) return { done: false, state };
        await turn();
        const { step, parameters } = state;
        const loss = halfSquaredDistance(parameters, goal);
        const moment = state.moments[0]!.map((m, i) => MOMENTUM * m + (parameters[i]! - goal[i]!));
        state = {
          step: step + 1,
          parameters: parameters.map((value, i) => value - ALIGN_RATE * moment[i]!),
          moments: [moment],
          losses: [...state.losses, loss],
        };
        onStep({ phase: 'align', round, client: null, step, loss, tokens: 8, ms: 0 });
      }
      return { done: true, emulator: state.parameters, losses: state.losses };
    },
  };
}

/** The optimum of the federation if all of `clients` take part in every round. */
export function federatedOptimum(clients: number): Float32Array {
  const everyone = Array.from({ length: clients }, (_, client) => ({
    goal: optimum(client),
    samples: samplesOf(client),
  }));
  const total = everyone.reduce((sum, { samples }) => sum + samples, 0);
  return Float32Array.from({ length: layouts.adapter.size }, (_, i) =>
    everyone.reduce((sum, { goal, samples }) => sum + (samples / total) * goal[i]!, 0),
  );
}

export function quadraticEvaluator(clients: number): Evaluator {
  const best = federatedOptimum(clients);
  return {
    evaluate: async ({ lora, signal, onProgress }) => {
      await turn();
      signal.throwIfAborted();
      onProgress(1, 1);
      const score = (loss: number): Score => ({ accuracy: null, loss });
      const loss = halfSquaredDistance(lora.adapter, best);
      const gap = halfSquaredDistance(lora.emulator, emulatorGoal(lora.adapter));
      return {
        base: score(halfSquaredDistance(initialLora().adapter, best)),
        adapEmu: score(loss + gap),
        adapFu: score(loss),
      };
    },
  };
}

export type Changes = Partial<Omit<FederationSettings['federation'], 'aggregation' | 'local'>> & {
  readonly local?: { readonly steps: number };
};

export function settings(
  federation: Changes = {},
  checkpoint: Partial<FederationSettings['checkpoint']> = {},
): FederationSettings {
  const clients = federation.clients ?? 4;
  return {
    job: 'quadratic',
    seed: SEED,
    federation: {
      rounds: 3,
      clients,
      clientsPerRound: clients,
      quorum: 1,
      roundDeadlineSeconds: 0,
      maxRoundRetries: 3,
      dropoutRate: 0,
      aggregation: { kind: 'FedAvg' },
      ...federation,
      // Large enough for the samples of any client.
      local: { steps: 5, batchSize: 100, gradientAccumulation: 1, ...federation.local },
    },
    evaluation: { everyRounds: 2 },
    checkpoint: { everyRounds: 1, keep: 2, ...checkpoint },
  };
}
