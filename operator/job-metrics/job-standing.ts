import { Compile } from 'typebox/compile';
import type { FedBiOTJobStatus } from '../../crds/types.ts';
import { NO_CLIENTS } from '../../crds/facts/clients.ts';
import { JobProgress } from '../../crds/facts/progress.ts';
import { lastFigures } from '../../crds/facts/round-figures.ts';
import type { RunCost } from '../../crds/facts/cost.ts';
import { factsOf, unheard } from '../../worker/metrics/job-series.ts';
import type { JobIdentity, JobStanding } from '../../worker/metrics/job-series.ts';
import type { JobObject } from '../objects/job-object.ts';
import { instant } from '../status/observed-job.ts';

/** Every field of the cost is optional in a status. */
const costCheck = Compile(JobProgress.properties.cost);

export const identityOf = ({ spec, status }: JobObject): JobIdentity => ({
  method: spec.method,
  task: spec.evaluation.task,
  phase: status?.phase ?? 'Pending',
});

/** How a job stands, from its last progress; if the operator has not read one since its start, from the status. */
export function standingOf({ spec, status }: JobObject, progress: JobProgress | null): JobStanding {
  const nothing = unheard(factsOf(spec));
  if (progress === null) return status === undefined ? nothing : { ...nothing, ...standingIn(status) };
  const { at, finishedRounds, clients, refusals, evaluation, cost } = progress;
  return {
    ...nothing,
    finishedRounds,
    clients,
    refusals,
    ...lastFigures(progress),
    evaluation,
    heardAt: instant(at),
    ...spent(finishedRounds, cost),
  };
}

/** Figures that derive from the cost: zero before the first round has ended, later unknown if the cost is missing. */
function spent(finishedRounds: number, cost: RunCost | null): Partial<JobStanding> {
  if (cost !== null)
    return { cost, tokens: { server: cost.server.tokens, client: cost.clients.tokens }, bytes: cost.bytes };
  return finishedRounds === 0 ? {} : { tokens: null, bytes: null };
}

function standingIn(status: FedBiOTJobStatus) {
  const { lastProgressTime, round, clients, refusals, evaluation, cost } = status;
  return {
    heardAt: instant(lastProgressTime),
    finishedRounds: round ?? 0,
    ...spent(round ?? 0, costCheck.Check(cost) ? cost : null),
    clients: { ...NO_CLIENTS, ...clients },
    refusals: refusals ?? {},
    ...lastFigures(status),
    evaluation:
      evaluation === undefined
        ? null
        : { base: scoreOf(evaluation.base), adapEmu: scoreOf(evaluation.adapEmu), adapFu: scoreOf(evaluation.adapFu) },
  };
}

const scoreOf = ({
  accuracy,
  f1,
  loss,
}: { readonly accuracy?: number; readonly f1?: number; readonly loss?: number } = {}) => ({
  accuracy: accuracy ?? null,
  ...(f1 === undefined ? {} : { f1 }),
  loss: loss ?? null,
});
