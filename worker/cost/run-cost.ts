import { NOTHING, together } from './role-cost.ts';
import type { RunCost, Saving } from '../../crds/facts/cost.ts';
import type { RunPlan } from '../../crds/facts/plan.ts';
import type { RoundReport } from '../../crds/facts/round.ts';

/** What the cost of a run depends on in addition to its rounds. */
export interface CostFacts {
  readonly clients: number;
  readonly plan: Pick<RunPlan, 'bytes' | 'flops'>;
}

type Costly = Pick<RoundReport, 'bytes' | 'cost'>;
type Spent = Omit<RunCost, 'savings'>;

/** The cost of finished rounds; null if the cost of one was not measured. */
export function runCost(rounds: readonly Costly[], facts: CostFacts): RunCost | null {
  if (rounds.some(({ cost }) => cost === undefined)) return null;
  return rounds.reduce((spent: RunCost | null, round) => costAfter(spent, round, facts), costOfNone(facts));
}

/** The cost of a run before its first round: its clients have received the emulator. */
export function costOfNone(facts: CostFacts): RunCost {
  const bundle = facts.clients * facts.plan.bytes.emulatorBundle;
  return withSavings({ server: NOTHING, clients: NOTHING, bytes: { bundle, down: 0, up: 0 } }, facts);
}

/** The cost with one more round; null from the first round whose cost was not measured. */
export function costAfter(before: RunCost | null, { bytes, cost }: Costly, facts: CostFacts): RunCost | null {
  if (before === null || cost === undefined) return null;
  const moved = { ...before.bytes, down: before.bytes.down + bytes.down, up: before.bytes.up + bytes.up };
  return withSavings(
    { server: together(before.server, cost.server), clients: together(before.clients, cost.clients), bytes: moved },
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
      // The same number of packages, of another size. Headers are scaled too: they are small.
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
