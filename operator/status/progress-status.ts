import type { FedBiOTJobStatus } from '../../crds/types.ts';
import type { JobProgress } from '../../crds/facts/progress.ts';

type Scores = NonNullable<JobProgress['evaluation']>;

/**
 * The fields of the status that mirror what the server pod tells: the schemas of both are one, so that the API server
 * takes them.
 */
export function progressStatus(progress: JobProgress): Partial<FedBiOTJobStatus> {
  const {
    phase,
    at,
    finishedRounds,
    rounds,
    clients,
    refusals,
    alignmentLoss,
    localLoss,
    evaluation,
    cost,
    adapterSha256,
  } = progress;
  return {
    activity: phase,
    ...(Number.isNaN(Date.parse(at)) ? {} : { lastProgressTime: new Date(at).toISOString() }),
    round: finishedRounds,
    rounds,
    roundText: `${finishedRounds}/${rounds}`,
    clients,
    clientsText: `${clients.reported}/${clients.selected}`,
    ...(Object.keys(refusals).length === 0 ? {} : { refusals }),
    ...(alignmentLoss === null ? {} : { alignmentLoss }),
    ...(localLoss === null ? {} : { localLoss }),
    ...(evaluation === null
      ? {}
      : {
          evaluation: {
            round: evaluation.round,
            base: score(evaluation.base),
            adapEmu: score(evaluation.adapEmu),
            adapFu: score(evaluation.adapFu),
          },
        }),
    ...(cost === null ? {} : { cost }),
    ...(adapterSha256 === null ? {} : { adapterSha256 }),
  };
}

function score({ accuracy, f1, loss }: Scores['base']) {
  return {
    ...(accuracy === null ? {} : { accuracy }),
    ...(f1 === undefined ? {} : { f1 }),
    loss,
    headline: accuracy === null ? loss.toFixed(4) : `${(accuracy * 100).toFixed(1)} %`,
  };
}
