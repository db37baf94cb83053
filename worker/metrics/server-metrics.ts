import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RunProgress } from '../cluster/fold-progress.ts';
import type { RunEvent } from '../events.ts';
import { REFUSAL_REASONS } from '../transport/refusal.ts';

/** Seconds: a step of the smallest model to a phase that takes a day. */
export const STEP_BUCKETS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];
const PHASE_BUCKETS = [1, 3, 10, 30, 100, 300, 1000, 3600, 4 * 3600, 24 * 3600];
const PHASES = ['align', 'local', 'aggregate', 'evaluate'] as const;

export interface ServerMetrics {
  readonly registry: Registry;
  /** Takes an event as it happens, and where the run stands after it. Events of before a restart are not told again. */
  observe(event: RunEvent, progress: RunProgress): void;
}

/** What a server pod tells Prometheus of its job. Every series whose labels are known stands at 0 from the beginning. */
export function serverMetrics(labels: { readonly namespace: string; readonly job: string }, facts: { readonly task: string; readonly rounds: number }): ServerMetrics {
  const registry = new Registry();
  registry.setDefaultLabels({ ...labels });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const gauge = <L extends string = never>(name: string, help: string, labelNames: readonly L[]) => new Gauge<L>({ name, help, labelNames, registers });
  const counter = <L extends string = never>(name: string, help: string, labelNames: readonly L[]) => new Counter<L>({ name, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[], buckets: number[]) =>
    new Histogram<L>({ name, help, labelNames, buckets, registers });

  const round = gauge('fedbiot_round', 'Last finished round; 0: none yet.', []);
  const rounds = gauge('fedbiot_rounds', 'Rounds in all.', []);
  const clients = gauge('fedbiot_clients', 'Clients of the round under way, or of the last, by what became of them.', ['state']);
  const dropout = gauge('fedbiot_client_dropout_ratio', 'Dropped clients over those selected, from 0 to 1.', []);
  const layerDropout = gauge('fedbiot_emulator_layer_dropout_ratio', "Part of the model's layers below the adapter that the emulator does without, from 0 to 1.", []);
  const accuracy = gauge('fedbiot_accuracy_ratio', 'Accuracy of the last evaluation, from 0 to 1; 0 before the first, and for a task that has none.', ['model', 'task']);
  const loss = gauge('fedbiot_loss', 'Last known loss: of alignment, of local training, of full model + adapter in evaluation; 0 before the first.', ['phase']);
  const gap = gauge('fedbiot_alignment_gap', 'Loss (nats) of emulator + adapter less that of full model + adapter in the last evaluation.', []);
  const bytes = counter('fedbiot_delta_bytes_total', 'Bytes of LoRA vectors to (down) and from (up) clients.', ['direction']);
  const roundSeconds = histogram('fedbiot_round_duration_seconds', 'Time the phases of a round took.', ['phase'], PHASE_BUCKETS);
  const tokens = counter('fedbiot_trained_tokens_total', 'Tokens trained on, in alignment and by clients whose results were accepted.', []);
  const stepSeconds = histogram('fedbiot_step_duration_seconds', 'Time an optimizer step took.', ['phase'], STEP_BUCKETS);
  const refused = counter('fedbiot_refused_results_total', 'Results of clients that were refused, by reason.', ['reason']);

  const setClients = (counts: RunProgress['clients']) => {
    for (const state of ['selected', 'reported', 'dropped', 'refused'] as const) clients.set({ state }, counts[state]);
    dropout.set(counts.selected === 0 ? 0 : counts.dropped / counts.selected);
  };
  rounds.set(facts.rounds);
  setClients({ selected: 0, reported: 0, dropped: 0, refused: 0 });
  for (const model of ['base', 'adap_emu', 'adap_fu']) accuracy.set({ model, task: facts.task }, 0);
  for (const phase of ['alignment', 'local', 'eval']) loss.set({ phase }, 0);
  for (const direction of ['down', 'up']) bytes.inc({ direction }, 0);
  for (const phase of PHASES) roundSeconds.zero({ phase });
  for (const phase of ['align', 'local']) stepSeconds.zero({ phase });
  for (const reason of REFUSAL_REASONS) refused.inc({ reason }, 0);

  return {
    registry,
    observe(event, progress) {
      round.set(progress.finishedRounds);
      setClients(progress.clients);
      if (progress.alignmentLoss !== null) loss.set({ phase: 'alignment' }, progress.alignmentLoss);
      if (progress.localLoss !== null) loss.set({ phase: 'local' }, progress.localLoss);
      if (progress.evaluation !== null) {
        const { base, adapEmu, adapFu } = progress.evaluation;
        for (const [model, score] of [['base', base], ['adap_emu', adapEmu], ['adap_fu', adapFu]] as const) {
          if (score.accuracy !== null) accuracy.set({ model, task: facts.task }, score.accuracy);
        }
        loss.set({ phase: 'eval' }, adapFu.loss);
        gap.set(adapEmu.loss - adapFu.loss);
      }
      switch (event.event) {
        case 'run': {
          const { dropped, emulator } = event.plan.layers;
          layerDropout.set(dropped.length / Math.max(1, dropped.length + emulator.length));
          break;
        }
        case 'step':
          tokens.inc(event.tokens);
          stepSeconds.observe({ phase: event.phase }, event.ms / 1000);
          break;
        case 'client':
          if (event.outcome === 'refused') for (const reason of REFUSAL_REASONS) if (reason === event.reason) refused.inc({ reason });
          break;
        case 'round':
          bytes.inc({ direction: 'down' }, event.bytes.down);
          bytes.inc({ direction: 'up' }, event.bytes.up);
          for (const phase of PHASES) roundSeconds.observe({ phase }, event.seconds[phase]);
          break;
      }
    },
  };
}
