import type { FedBiOTJobSpec, JobPhase } from '../../crds/types.ts';
import { CLIENT_STATES, NO_CLIENTS } from '../../crds/facts/clients.ts';
import type { JobProgress } from '../../crds/facts/progress.ts';
import type { RunCost } from '../../crds/facts/cost.ts';
import { ROLES } from '../../crds/facts/role.ts';
import type { Role } from '../../crds/facts/role.ts';
import { REFUSAL_REASONS } from '../../crds/facts/refusal.ts';
import { lastFigures } from '../../crds/facts/round-figures.ts';
import type { LastFigures } from '../../crds/facts/round-figures.ts';
import { one } from './series.ts';
import type { Sample, Series } from './series.ts';

/**
 * The series of a job, which the operator, the server pod and `fedbiot run` all export, each with what it knows.
 * Counters exist from the beginning; measurements once there is one.
 */

const PHASES = ['Pending', 'Suspended', 'Running', 'Succeeded', 'Failed'] as const satisfies readonly JobPhase[];

/** A job's identity, by its spec, and its phase. */
export interface JobIdentity {
  readonly method: string;
  readonly task: string;
  readonly phase: JobPhase;
}

/** A job's settings, by its spec. */
export interface JobFacts {
  readonly task: string;
  readonly rounds: number;
  readonly quorum: number;
  /** Fraction of the layers outside the adapter that the emulator drops. */
  readonly layerDropRate: number;
}

interface Score {
  readonly accuracy: number | null;
  /** Absent for a task without partial credit. */
  readonly f1?: number;
  readonly loss: number | null;
}

export interface JobStanding
  extends JobFacts, Required<LastFigures>, Pick<JobProgress, 'finishedRounds' | 'clients' | 'refusals'> {
  readonly evaluation: { readonly base: Score; readonly adapEmu: Score; readonly adapFu: Score } | null;
  /** When the run last reported anything, in milliseconds since 1970; null: never. */
  readonly heardAt: number | null;
  /** Tokens trained on, by role; null: not known. */
  readonly tokens: Readonly<Record<Role, number>> | null;
  /** Bytes of LoRA vectors to (down) and from (up) clients; null: not known. */
  readonly bytes: Readonly<Record<'down' | 'up', number>> | null;
  /** Of the finished rounds; null before the first, or when it is not known. */
  readonly cost: Pick<RunCost, 'server' | 'clients' | 'savings'> | null;
}

export const factsOf = ({ evaluation, federation, emulator }: FedBiOTJobSpec): JobFacts => ({
  task: evaluation.task,
  rounds: federation.rounds,
  quorum: federation.quorum,
  layerDropRate: emulator.layerDropRate,
});

/** A job that has not reported anything. */
export const unheard = (facts: JobFacts): JobStanding => ({
  ...facts,
  finishedRounds: 0,
  clients: NO_CLIENTS,
  refusals: {},
  ...lastFigures({}),
  evaluation: null,
  heardAt: null,
  tokens: { server: 0, client: 0 },
  bytes: { down: 0, up: 0 },
  cost: null,
});

export const IDENTITY_SERIES: readonly Series<JobIdentity>[] = [
  {
    name: 'fedbiot_job_info',
    help: 'Always 1; the labels describe the job.',
    kind: 'gauge',
    labels: ['method', 'task'],
    samples: ({ method, task }) => [{ labels: { method, task }, value: 1 }],
  },
  {
    name: 'fedbiot_job_phase',
    help: '1 for the current phase of the job, 0 for the others.',
    kind: 'gauge',
    labels: ['phase'],
    samples: (job) => PHASES.map((phase) => ({ labels: { phase }, value: Number(job.phase === phase) })),
  },
];

/** Client pods export it too: many steps may pass between two of their messages to the server. */
export const LAST_PROGRESS: Series<Pick<JobStanding, 'heardAt'>> = {
  name: 'fedbiot_last_progress_timestamp_seconds',
  help: 'Unix time of the last report of the run; absent before the first.',
  kind: 'gauge',
  labels: [],
  samples: ({ heardAt }) => (heardAt === null ? [] : one(heardAt / 1000)),
};

export const STANDING_SERIES: readonly Series<JobStanding>[] = [
  {
    name: 'fedbiot_round',
    help: 'Last finished round; 0: none yet.',
    kind: 'gauge',
    labels: [],
    samples: ({ finishedRounds }) => one(finishedRounds),
  },
  {
    name: 'fedbiot_rounds',
    help: 'Number of rounds of the job.',
    kind: 'gauge',
    labels: [],
    samples: ({ rounds }) => one(rounds),
  },
  LAST_PROGRESS,
  {
    name: 'fedbiot_clients',
    help: 'Clients of the current or last round, by state.',
    kind: 'gauge',
    labels: ['state'],
    samples: ({ clients }) => CLIENT_STATES.map((state) => ({ labels: { state }, value: clients[state] })),
  },
  {
    name: 'fedbiot_quorum_clients',
    help: 'Clients that must report for a round to succeed.',
    kind: 'gauge',
    labels: [],
    samples: ({ quorum }) => one(quorum),
  },
  {
    name: 'fedbiot_client_dropout_ratio',
    help: 'Fraction of the selected clients that dropped out of the current or last round.',
    kind: 'gauge',
    labels: [],
    samples: ({ clients: { selected, dropped } }) => one(selected === 0 ? 0 : dropped / selected),
  },
  {
    name: 'fedbiot_emulator_layer_dropout_ratio',
    help: 'Fraction of the layers outside the adapter that the emulator drops: as requested, or as measured once the run has begun.',
    kind: 'gauge',
    labels: [],
    samples: ({ layerDropRate }) => one(layerDropRate),
  },
  {
    name: 'fedbiot_accuracy_ratio',
    help: 'Accuracy of the last evaluation, from 0 to 1; absent before the first, and for a task without accuracy.',
    kind: 'gauge',
    labels: ['model', 'task'],
    samples: (job) => ofModels(job, ({ accuracy }) => accuracy),
  },
  {
    name: 'fedbiot_f1_ratio',
    help: 'Mean word overlap with the best accepted answer in the last evaluation, from 0 to 1; absent before the first, and for a task without partial credit.',
    kind: 'gauge',
    labels: ['model', 'task'],
    samples: (job) => ofModels(job, ({ f1 }) => f1 ?? null),
  },
  {
    name: 'fedbiot_loss',
    help: 'Last known loss, in nats except for alignment: of alignment, of local training, of full model + adapter in evaluation; absent before the first.',
    kind: 'gauge',
    labels: ['phase'],
    samples: ({ alignmentLoss, localLoss, evaluation }) =>
      (
        [
          ['alignment', alignmentLoss],
          ['local', localLoss],
          ['eval', evaluation?.adapFu.loss ?? null],
        ] as const
      ).flatMap(([phase, value]) => (value === null ? [] : [{ labels: { phase }, value }])),
  },
  {
    name: 'fedbiot_alignment_gap',
    help: 'Loss of emulator + adapter minus loss of full model + adapter in the last evaluation, in nats; absent before the first.',
    kind: 'gauge',
    labels: [],
    samples({ evaluation }) {
      const [emulated, full] = [evaluation?.adapEmu.loss ?? null, evaluation?.adapFu.loss ?? null];
      return emulated === null || full === null ? [] : one(emulated - full);
    },
  },
  {
    name: 'fedbiot_public_alignment_gap',
    help: 'Mean loss over the last tenth of the last alignment: the gap left between emulator and model on public data, in the units of the alignment loss; absent before the first.',
    kind: 'gauge',
    labels: [],
    samples: ({ publicAlignmentGap }) => (publicAlignmentGap === null ? [] : one(publicAlignmentGap)),
  },
  {
    name: 'fedbiot_refused_results_total',
    help: 'Results of clients refused since the job began, by reason.',
    kind: 'counter',
    labels: ['reason'],
    samples: ({ refusals }) => REFUSAL_REASONS.map((reason) => ({ labels: { reason }, value: refusals[reason] ?? 0 })),
  },
  {
    name: 'fedbiot_delta_bytes_total',
    help: 'Bytes of LoRA vectors to (down) and from (up) clients, in finished rounds.',
    kind: 'counter',
    labels: ['direction'],
    samples: ({ bytes }) =>
      bytes === null
        ? []
        : (['down', 'up'] as const).map((direction) => ({ labels: { direction }, value: bytes[direction] })),
  },
  {
    name: 'fedbiot_trained_tokens_total',
    help: 'Tokens trained on: by the server in alignment, by clients in accepted results.',
    kind: 'counter',
    labels: ['role'],
    samples: ({ tokens }) => (tokens === null ? [] : ROLES.map((role) => ({ labels: { role }, value: tokens[role] }))),
  },
];

/** One figure of each model's score, if present. */
function ofModels({ task, evaluation }: JobStanding, figure: (score: Score) => number | null): Sample[] {
  if (evaluation === null) return [];
  const models = [
    ['base', evaluation.base],
    ['adap_emu', evaluation.adapEmu],
    ['adap_fu', evaluation.adapFu],
  ] as const;
  return models.flatMap(([model, score]) => {
    const value = figure(score);
    return value === null ? [] : [{ labels: { model, task }, value }];
  });
}
