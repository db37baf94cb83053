import type { RoleCost, RunCost, Saving } from '../../crds/facts/cost.ts';
import type { RunPlan } from '../../crds/facts/plan.ts';
import type { RoundReport } from '../../crds/facts/round.ts';

export const NO_COST: RoleCost = { cpuSeconds: 0, gpuSeconds: 0, tokens: 0, peakMemoryBytes: 0 };

/** The combined cost of two parts of one role's work. */
export function addCosts(a: RoleCost, b: RoleCost): RoleCost {
  return {
    cpuSeconds: a.cpuSeconds + b.cpuSeconds,
    gpuSeconds: a.gpuSeconds + b.gpuSeconds,
    tokens: a.tokens + b.tokens,
    peakMemoryBytes: Math.max(a.peakMemoryBytes, b.peakMemoryBytes),
  };
}

/** What the cost of a run depends on in addition to its rounds. */
export interface CostFacts {
  readonly clients: number;
  readonly plan: Pick<RunPlan, 'bytes' | 'flops'>;
}

type Costly = Pick<RoundReport, 'bytes' | 'cost'>;
type Spent = Omit<RunCost, 'savings'>;

/** The cost of finished rounds; null if the cost of any round was not measured. */
export function runCost(rounds: readonly Costly[], facts: CostFacts): RunCost | null {
  if (rounds.some(({ cost }) => cost === undefined)) return null;
  return rounds.reduce((spent: RunCost | null, round) => costAfter(spent, round, facts), initialCost(facts));
}

/** The cost of a run before its first round: each client has received the emulator. */
export function initialCost(facts: CostFacts): RunCost {
  const bundle = facts.clients * facts.plan.bytes.emulatorBundle;
  return withSavings({ server: NO_COST, clients: NO_COST, bytes: { bundle, down: 0, up: 0 } }, facts);
}

/** The cost including one more round; null from the first round on whose cost was not measured. */
export function costAfter(before: RunCost | null, { bytes, cost }: Costly, facts: CostFacts): RunCost | null {
  if (before === null || cost === undefined) return null;
  const moved = { ...before.bytes, down: before.bytes.down + bytes.down, up: before.bytes.up + bytes.up };
  return withSavings(
    { server: addCosts(before.server, cost.server), clients: addCosts(before.clients, cost.clients), bytes: moved },
    facts,
  );
}

/** Adds the cost of the same job with the full model on its clients (docs/method.md, "what it saves"). */
function withSavings(spent: Spent, { clients, plan }: CostFacts): RunCost {
  const { bundle, down, up } = spent.bytes;
  const { fullModel, fullModelRoundDown, roundDown } = plan.bytes;
  const { clientToken, fullModelToken, alignmentToken } = plan.flops;
  return {
    ...spent,
    savings: {
      // The number of packages is the same; their size differs. Headers are scaled too, which is negligible.
      bytes: saving(bundle + down + up, clients * fullModel + Math.round(down * (fullModelRoundDown / roundDown)) + up),
      flops: saving(
        spent.clients.tokens * clientToken + spent.server.tokens * alignmentToken,
        spent.clients.tokens * fullModelToken,
      ),
    },
  };
}

function saving(here: number, fullModel: number): Saving {
  return { here, fullModel, saved: fullModel - here };
}
