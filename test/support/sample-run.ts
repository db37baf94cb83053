import type { Evaluation } from '../../crds/facts/evaluation.ts';
import type { RunEvent, StepEvent } from '../../crds/facts/events.ts';
import type { RunPlan } from '../../crds/facts/plan.ts';
import type { RoundReport } from '../../crds/facts/round.ts';
import type { RunFacts } from '../../worker/report/accumulate.ts';

export const samplePlan: RunPlan = {
  layers: { total: 8, adapter: [6, 7], emulator: [0, 2, 5], dropped: [1, 3, 4] },
  parameters: { full: 1_000_000, emulator: 600_000, adapterLora: 4_000, emulatorLora: 6_000 },
  bytes: {
    fullModel: 4_000_000,
    emulatorBundle: 2_400_000,
    roundDown: 40_000,
    fullModelRoundDown: 64_000,
    roundUp: 16_000,
    hiddenStateCache: 1_000_000,
  },
  flops: { clientToken: 1_000, fullModelToken: 1_600, alignmentToken: 2_000 },
  memory: { server: 2 ** 28, client: 2 ** 27, evaluation: 2 ** 27, run: 2 ** 29, available: 2 ** 33, fits: true },
};

export const sampleFacts: RunFacts = {
  seed: 7,
  adapterSha256: 'ab'.repeat(32),
  partition: [
    { client: 0, records: 25, categories: { add: 15, subtract: 10 } },
    { client: 1, records: 10, categories: { subtract: 10 } },
  ],
};

export function evaluationAt(round: number, accuracy = true): Evaluation {
  const score = (value: number, loss: number) => ({ accuracy: accuracy ? value : null, loss });
  return {
    base: score(0.1, 3),
    adapEmu: score(0.1 + round / 100, 2.9),
    adapFu: score(0.1 + round / 50, 2.5 - round / 100),
  };
}

/** A round of two clients. Client 1 drops out of every third round; every second round is evaluated. */
export function roundAt(round: number): RoundReport {
  const dropped = round % 3 === 0 ? [1] : [];
  return {
    round,
    clients: { selected: [0, 1], reported: dropped.length > 0 ? [0] : [0, 1], dropped, refused: [] },
    alignmentLoss: 1 / round,
    publicAlignmentGap: 0.5 / round,
    localLoss: 2 / round,
    ...(round % 2 === 0 ? { evaluation: evaluationAt(round) } : {}),
    bytes: { down: 80_000, up: 32_000 },
    seconds: { align: round === 1 ? 50 : 5, local: 10, aggregate: 1, evaluate: round % 2 === 0 ? 4 : 0 },
    cost: {
      server: { cpuSeconds: 3, gpuSeconds: 0, tokens: 300, peakMemoryBytes: 2 ** 28 + round },
      clients: { cpuSeconds: 15, gpuSeconds: 0, tokens: dropped.length > 0 ? 200 : 400, peakMemoryBytes: 2 ** 27 },
    },
  };
}

export function stepAt(
  phase: 'align' | 'local',
  round: number,
  client: number | null,
  step: number,
  loss: number,
): StepEvent {
  return { event: 'step', phase, round, client, step, loss, tokens: 100, ms: 50 };
}

/** Every event of a run of `rounds` rounds, with 3 alignment steps and 2 local steps per client in each. */
export function sampleEvents(rounds: number, job = 'sample'): RunEvent[] {
  const events: RunEvent[] = [
    { event: 'run', job, method: 'FedBiOT', rounds, clients: 2, resumedFromRound: null, plan: samplePlan },
  ];
  for (let round = 1; round <= rounds; round++) {
    const report = roundAt(round);
    events.push({ event: 'phase', phase: 'align', round, steps: 3 });
    for (let step = 0; step < 3; step++) events.push(stepAt('align', round, null, step, 1 / (round + step)));
    events.push({ event: 'phase', phase: 'local', round, steps: 2 * report.clients.reported.length });
    for (const client of report.clients.reported) {
      for (let step = 0; step < 2; step++)
        events.push(stepAt('local', round, client, step, 2 / (round + step) + client));
      events.push({ event: 'client', round, client, outcome: 'reported' });
    }
    events.push({ event: 'phase', phase: 'aggregate', round, steps: null });
    if (report.evaluation !== undefined) events.push({ event: 'evaluation', round, ...report.evaluation });
    events.push({ event: 'round', ...report });
  }
  events.push({ event: 'end', outcome: 'succeeded', message: 'done' });
  return events;
}
