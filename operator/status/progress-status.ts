import type { FedBiOTJobStatus } from '../../crds/types.ts';
import type { JobProgress } from '../../worker/cluster/progress.ts';

type Scores = NonNullable<JobProgress['evaluation']>;
type Cost = NonNullable<JobProgress['cost']>;

/** The fields of the status that mirror what the server pod tells. */
export function progressStatus(progress: JobProgress): Partial<FedBiOTJobStatus> {
  const { phase, at, finishedRounds, rounds, clients, refusals, alignmentLoss, localLoss, evaluation, cost, adapterSha256 } = progress;
  return {
    activity: phase,
    ...(Number.isNaN(Date.parse(at)) ? {} : { lastProgressTime: new Date(at).toISOString() }),
    round: finishedRounds,
    rounds,
    roundText: `${finishedRounds}/${rounds}`,
    clients: { selected: clients.selected, reported: clients.reported, dropped: clients.dropped, refused: clients.refused },
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
    ...(cost === null ? {} : { cost: costStatus(cost) }),
    ...(adapterSha256 === null ? {} : { adapterSha256 }),
  };
}

/** Field by field: what comes from Redis may have more. */
function costStatus({ server, clients, bytes, savings }: Cost): NonNullable<FedBiOTJobStatus['cost']> {
  return {
    server: role(server),
    clients: role(clients),
    bytes: { bundle: whole(bytes.bundle), down: whole(bytes.down), up: whole(bytes.up) },
    savings: { bytes: saving(savings.bytes), flops: saving(savings.flops) },
  };
}

const role = ({ cpuSeconds, gpuSeconds, tokens, peakMemoryBytes }: Cost['server']) => ({
  cpuSeconds,
  gpuSeconds,
  tokens: whole(tokens),
  peakMemoryBytes: whole(peakMemoryBytes),
});

const saving = ({ here, fullModel, saved }: Cost['savings']['bytes']) => ({ here, fullModel, saved });

/** Clients' figures are in the sums: whatever they claim, the API server must be able to take it. */
const whole = (value: number) => Math.min(Math.round(value), Number.MAX_SAFE_INTEGER);

function score({ accuracy, loss }: Scores['base']) {
  return accuracy === null
    ? { loss, headline: loss.toFixed(4) }
    : { accuracy, loss, headline: `${(accuracy * 100).toFixed(1)} %` };
}
