import type { FedBiOTJobSpec } from '../../crds/types.ts';
import type { RunPlan } from '../../crds/facts/plan.ts';
import type { Role } from '../../crds/facts/role.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { tasks } from '../tasks/registry.ts';
import { estimateJob } from './job-estimate.ts';
import type { EstimateContext } from './job-estimate.ts';
import { podMemory, scoringMemory } from './job-memory.ts';
import type { MachineMemory } from './job-memory.ts';
import { JOB_SAVINGS } from './job-savings.ts';
import type { JobSettings } from './job-savings.ts';
import { computesLessInInt8, withPlannedComputeWeights } from './planned-quantized.ts';
import { requiredMemory } from './memory-check.ts';
import type { PlannedMemory } from './memory-check.ts';
import type { Scoring } from './role-demand.ts';
import { adviceOf, halves } from './savings.ts';
import type { Saving } from './savings.ts';

/**
 * The memory of `fedbiot run`.
 * @param plan of the same model, spec and context
 */
export function plannedRun(
  model: FederatedModel,
  spec: FedBiOTJobSpec,
  context: EstimateContext,
  plan: RunPlan,
): PlannedMemory {
  const settings: JobSettings = { model, spec, workers: context.workers };
  const memoryOf = (changed: JobSettings) =>
    memoryOfRun(estimateJob(changed.model, changed.spec, { ...context, workers: changed.workers }));
  return planned('this run', settings, JOB_SAVINGS, memoryOf, memoryOfRun(plan));
}

const memoryOfRun = ({ memory: { run: total, filePages = 0 } }: RunPlan): MachineMemory => ({ total, filePages });

/** The memory of a pod of a role. */
export function plannedPod(model: FederatedModel, spec: FedBiOTJobSpec, role: Role): PlannedMemory {
  const settings: JobSettings = { model, spec, workers: 1 };
  return planned(`this ${role} pod`, settings, JOB_SAVINGS, (changed) => podMemory(changed.model, changed.spec)[role]);
}

/** The memory of `fedbiot eval`. */
export function plannedScoring(model: FederatedModel, scoring: Scoring): PlannedMemory {
  const settings: ScoringSettings = { ...scoring, model };
  return planned('this evaluation', settings, SCORING_SAVINGS, (changed) => scoringMemory(changed.model, changed));
}

function planned<Settings>(
  what: string,
  settings: Settings,
  savings: readonly Saving<Settings>[],
  memoryOf: (settings: Settings) => MachineMemory,
  needed = memoryOf(settings),
): PlannedMemory {
  const bytesOf = (changed: Settings) => requiredMemory(memoryOf(changed));
  return {
    what,
    needed,
    advice: (available) => adviceOf(settings, savings, { bytesOf, available }),
  };
}

/** What decides the memory of an evaluation. */
interface ScoringSettings extends Scoring {
  readonly model: FederatedModel;
}

/** Prompts of answers are not truncated, so a sequence length helps only tasks without answers. */
const SCORING_SAVINGS: readonly Saving<ScoringSettings>[] = [
  (scoring) =>
    generates(scoring)
      ? halves(scoring.batchSize).map((batchSize) => ({
          words: `--batch-size ${batchSize}`,
          settings: { ...scoring, batchSize },
        }))
      : [],
  (scoring) =>
    computesLessInInt8(scoring.model)
      ? [
          {
            words: '--compute-weights Int8',
            settings: { ...scoring, model: withPlannedComputeWeights(scoring.model) },
          },
        ]
      : [],
  (scoring) =>
    generates(scoring)
      ? halves(scoring.maxNewTokens, 32).map((maxNewTokens) => ({
          words: `--max-new-tokens ${maxNewTokens}`,
          settings: { ...scoring, maxNewTokens },
        }))
      : halves(scoring.length, 64).map((length) => ({
          words: `--sequence-length ${length}`,
          settings: { ...scoring, length },
        })),
  (scoring) => (generates(scoring) ? [{ words: '--task tokens', settings: { ...scoring, task: 'tokens' } }] : []),
];

const generates = ({ task }: Scoring): boolean => tasks[task].generates;
