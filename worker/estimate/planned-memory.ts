import type { FedBiOTJobSpec } from '../../crds/types.ts';
import type { Role } from '../../crds/facts/role.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { tasks } from '../tasks/registry.ts';
import { estimateJob } from './job-estimate.ts';
import type { EstimateContext } from './job-estimate.ts';
import { podMemory, scoringMemory } from './job-memory.ts';
import type { MachineMemory } from './job-memory.ts';
import { JOB_SAVINGS } from './job-savings.ts';
import type { JobSettings } from './job-savings.ts';
import { requiredMemory } from './memory-check.ts';
import type { PlannedMemory } from './memory-check.ts';
import type { Scoring } from './role-demand.ts';
import { adviceOf, halves } from './savings.ts';
import type { Saving } from './savings.ts';

/** The memory of `fedbiot run`. */
export function plannedRun(model: FederatedModel, spec: FedBiOTJobSpec, context: EstimateContext): PlannedMemory {
  return planned<JobSettings>('this run', { spec, workers: context.workers }, JOB_SAVINGS, ({ spec, workers }) => {
    const { run: total, filePages = 0 } = estimateJob(model, spec, { ...context, workers }).memory;
    return { total, filePages };
  });
}

/** The memory of a pod of a role. */
export function plannedPod(model: FederatedModel, spec: FedBiOTJobSpec, role: Role): PlannedMemory {
  return planned<JobSettings>(
    `this ${role} pod`,
    { spec, workers: 1 },
    JOB_SAVINGS,
    (settings) => podMemory(model, settings.spec)[role],
  );
}

/** The memory of `fedbiot eval`. */
export function plannedScoring(model: FederatedModel, scoring: Scoring): PlannedMemory {
  return planned('this evaluation', scoring, SCORING_SAVINGS, (settings) => scoringMemory(model, settings));
}

function planned<Settings>(
  what: string,
  settings: Settings,
  savings: readonly Saving<Settings>[],
  memoryOf: (settings: Settings) => MachineMemory,
): PlannedMemory {
  const bytesOf = (changed: Settings) => requiredMemory(memoryOf(changed));
  return {
    what,
    needed: memoryOf(settings),
    advice: (available) => adviceOf(settings, savings, { bytesOf, available }),
  };
}

/** Prompts of answers are not truncated, so a sequence length helps only tasks without answers. */
const SCORING_SAVINGS: readonly Saving<Scoring>[] = [
  (scoring) =>
    generates(scoring)
      ? halves(scoring.batchSize).map((batchSize) => ({
          words: `--batch-size ${batchSize}`,
          settings: { ...scoring, batchSize },
        }))
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
