import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import type { JobPhase } from '../../crds/types.ts';
import type { JobProgress } from '../../worker/cluster/progress.ts';
import { REFUSAL_REASONS } from '../../worker/transport/refusal.ts';
import type { JobObject } from '../reconcile/ports.ts';

const PHASES = ['Pending', 'Suspended', 'Running', 'Succeeded', 'Failed'] as const satisfies readonly JobPhase[];
const CLIENT_STATES = ['selected', 'reported', 'dropped', 'refused'] as const;

/** A job and what its server pod last told. */
export interface JobView {
  readonly job: JobObject;
  readonly progress: JobProgress | null;
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface JobMetric {
  readonly name: string;
  readonly help: string;
  readonly kind: 'gauge' | 'counter';
  readonly labels: readonly string[];
  samples(view: JobView): Sample[];
}

const METRICS: readonly JobMetric[] = [
  {
    name: 'fedbiot_job_info',
    help: '1; what the job is, in its labels.',
    kind: 'gauge',
    labels: ['method', 'task'],
    samples: ({ job }) => [{ labels: { method: job.spec.method, task: job.spec.evaluation.task }, value: 1 }],
  },
  {
    name: 'fedbiot_job_phase',
    help: '1 for the phase that the job is in, 0 for the others.',
    kind: 'gauge',
    labels: ['phase'],
    samples: ({ job }) => PHASES.map((phase) => ({ labels: { phase }, value: Number((job.status?.phase ?? 'Pending') === phase) })),
  },
  {
    name: 'fedbiot_round',
    help: 'Last finished round; 0: none yet.',
    kind: 'gauge',
    labels: [],
    samples: ({ job, progress }) => one(progress?.finishedRounds ?? job.status?.round ?? 0),
  },
  {
    name: 'fedbiot_rounds',
    help: 'Rounds in all.',
    kind: 'gauge',
    labels: [],
    samples: ({ job }) => one(job.spec.federation.rounds),
  },
  {
    name: 'fedbiot_clients',
    help: 'Clients of the round under way, or of the last, by what became of them.',
    kind: 'gauge',
    labels: ['state'],
    samples: (view) => CLIENT_STATES.map((state) => ({ labels: { state }, value: clientsOf(view)?.[state] ?? 0 })),
  },
  {
    name: 'fedbiot_client_dropout_ratio',
    help: 'Dropped clients of the round under way, or of the last, over those selected, from 0 to 1.',
    kind: 'gauge',
    labels: [],
    samples(view) {
      const { selected = 0, dropped = 0 } = clientsOf(view) ?? {};
      return one(selected === 0 ? 0 : dropped / selected);
    },
  },
  {
    name: 'fedbiot_emulator_layer_dropout_ratio',
    help: "Part of the model's layers below the adapter that the emulator does without, as the job asks, from 0 to 1.",
    kind: 'gauge',
    labels: [],
    samples: ({ job }) => one(job.spec.emulator.layerDropRate),
  },
  {
    name: 'fedbiot_accuracy_ratio',
    help: 'Accuracy of the last evaluation, from 0 to 1; none for a task that has no accuracy.',
    kind: 'gauge',
    labels: ['model', 'task'],
    samples: ({ job, progress }) =>
      scores(progress).flatMap(([model, { accuracy }]) =>
        accuracy === null ? [] : [{ labels: { model, task: job.spec.evaluation.task }, value: accuracy }],
      ),
  },
  {
    name: 'fedbiot_loss',
    help: 'Last known loss (nats, but for alignment): of alignment, of local training, of full model + adapter in evaluation.',
    kind: 'gauge',
    labels: ['phase'],
    samples: ({ progress }) =>
      [
        { labels: { phase: 'alignment' }, value: progress?.alignmentLoss },
        { labels: { phase: 'local' }, value: progress?.localLoss },
        { labels: { phase: 'eval' }, value: progress?.evaluation?.adapFu.loss },
      ].flatMap(({ labels, value }) => (typeof value === 'number' ? [{ labels, value }] : [])),
  },
  {
    name: 'fedbiot_refused_results_total',
    help: 'Results of clients that were refused, by reason.',
    kind: 'counter',
    labels: ['reason'],
    samples: ({ job, progress }) =>
      REFUSAL_REASONS.map((reason) => ({ labels: { reason }, value: (progress?.refusals ?? job.status?.refusals)?.[reason] ?? 0 })),
  },
];

const one = (value: number): Sample[] => [{ labels: {}, value }];

const clientsOf = ({ job, progress }: JobView) => progress?.clients ?? job.status?.clients;

function scores(progress: JobProgress | null) {
  const evaluation = progress?.evaluation ?? null;
  if (evaluation === null) return [];
  return [['base', evaluation.base], ['adap_emu', evaluation.adapEmu], ['adap_fu', evaluation.adapFu]] as const;
}

/** How jobs do. `views` is asked at every scrape, so that a job's series go with the job. */
export function jobMetrics(registry: Registry, views: () => Iterable<JobView>): void {
  for (const { name, help, kind, labels, samples } of METRICS) {
    const configuration = { name, help, labelNames: ['namespace', 'job', ...labels], registers: [registry] };
    const each = (add: (labels: Record<string, string>, value: number) => void) => {
      for (const view of views()) {
        const { namespace, name: job } = view.job.metadata;
        for (const sample of samples(view)) add({ namespace, job, ...sample.labels }, sample.value);
      }
    };
    if (kind === 'gauge') {
      new Gauge({
        ...configuration,
        collect() {
          this.reset();
          each((of, value) => this.set(of, value));
        },
      });
    } else {
      new Counter({
        ...configuration,
        collect() {
          this.reset();
          each((of, value) => this.inc(of, value));
        },
      });
    }
  }
}
