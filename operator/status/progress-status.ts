import type { FedBiOTJobStatus } from '../../crds/types.ts';
import type { JobProgress } from '../../crds/facts/progress.ts';
import { lastFigures } from '../../crds/facts/round-figures.ts';
import type { Score } from '../../crds/facts/score.ts';

/**
 * The fields of the status that mirror the server pod's progress. Their schemas derive from the progress, so that the
 * API server accepts them; unknown ones are absent.
 */
export function progressStatus(progress: JobProgress): Partial<FedBiOTJobStatus> {
  const { phase, at, finishedRounds, rounds, clients, refusals, evaluation, cost, adapterSha256, memory } = progress;
  return {
    activity: phase,
    ...(Number.isNaN(Date.parse(at)) ? {} : { lastProgressTime: new Date(at).toISOString() }),
    round: finishedRounds,
    rounds,
    roundText: `${finishedRounds}/${rounds}`,
    ...rounded(lastFigures(progress)),
    clients,
    clientsText: `${clients.reported}/${clients.selected}`,
    ...(Object.keys(refusals).length === 0 ? {} : { refusals }),
    ...(evaluation === null ? {} : { evaluation: withHeadlines(evaluation) }),
    ...known({ cost, adapterSha256 }),
    ...(memory === undefined ? {} : { memory }),
  };
}

/** Six digits, as `kubectl get` shows whatever is stored; the metrics and the report have all. */
const rounded = (figures: ReturnType<typeof lastFigures>) =>
  Object.fromEntries(Object.entries(known(figures)).map(([name, value]) => [name, Number(value.toPrecision(6))]));

/** The fields that are not null. */
function known<T extends object>(fields: T): { [Name in keyof T]?: Exclude<T[Name], null> };
function known(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

const withHeadlines = ({ round, base, adapEmu, adapFu }: NonNullable<JobProgress['evaluation']>) => ({
  round,
  base: withHeadline(base),
  adapEmu: withHeadline(adapEmu),
  adapFu: withHeadline(adapFu),
});

const withHeadline = (score: Score) => ({
  ...known(score),
  headline: score.accuracy === null ? score.loss.toFixed(4) : `${(score.accuracy * 100).toFixed(1)} %`,
});
