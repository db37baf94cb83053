import type { FedBiOTJob } from '../../crds/types.ts';
import type { Compute } from '../engine/compute.ts';
import type { RunPlan } from '../../crds/facts/plan.ts';
import type { RunReport } from '../../crds/facts/report.ts';
import { systemClock } from '../federation/clock.ts';
import type { LoraLayouts, OnSweep, Rehearsing } from '../federation/contracts.ts';
import type { Coordination, Outcome } from '../federation/coordinator.ts';
import { reasonOf } from '../files/system-failure.ts';
import { ReceivedResults } from '../federation/received-results.ts';
import type { RunDirectory } from './run-directory.ts';
import type { ModelDirectory } from '../model/directory.ts';
import type { FederatedModel, WatchedModel } from '../model/federated-model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { ServerData } from './job-data.ts';
import { startingLora } from './job-model.ts';
import { absoluteUri } from './job-manifest.ts';
import type { UriFolders } from './job-manifest.ts';
import { serverMeter } from './meters.ts';
import type { Place } from './meters.ts';
import { loadServerRoles } from './load-roles.ts';
import type { RunRecorder } from './recorder.ts';
import type { TraceWriter } from './trace.ts';

/** The outcome of a run. A failed run throws instead. */
export type RunResult =
  | { readonly outcome: 'succeeded'; readonly report: RunReport }
  | {
      readonly outcome: 'interrupted';
      /** The current round; null before the first. */
      readonly round: number | null;
    };

export interface ServerParts extends WatchedModel {
  readonly job: FedBiOTJob;
  readonly folders: UriFolders;
  readonly stored: ModelDirectory;
  readonly tokenizer: Tokenizer;
  readonly data: ServerData;
  readonly compute: Compute;
  readonly place: Place;
  readonly directory: RunDirectory;
  readonly record: RunRecorder;
  readonly plan: RunPlan;
  /** Warnings to emit when the run begins. */
  readonly warnings: readonly string[];
  readonly trace: TraceWriter | null;
  readonly onSweep: OnSweep;
  readonly onEvaluation: (done: number, total: number) => void;
  readonly signal: AbortSignal;
  /** Runs the rounds with the clients, over any transport. */
  readonly federate: (
    coordination: Omit<Coordination, 'transport' | 'sharesProcesses'> & { readonly aligner: Rehearsing },
  ) => Promise<Outcome>;
}

/**
 * The server's part of a run: from its last checkpoint, or the beginning, to the adapter and the reports in its folder.
 */
export async function runRounds(run: ServerParts): Promise<RunResult> {
  const { job, folders, stored, model, tokenizer, data, compute, directory, record, plan, trace, signal } = run;
  const { spec } = job;
  const { emit, from } = record;
  try {
    emit({
      event: 'run',
      job: job.metadata.name,
      method: spec.method,
      rounds: spec.federation.rounds,
      clients: spec.federation.clients,
      resumedFromRound: from?.snapshot.state.round ?? null,
      plan,
      ...(directory.date === null ? {} : { date: directory.date }),
    });
    for (const message of [...run.warnings, ...record.warnings]) emit({ event: 'warning', message });

    const modelSha256 = await stored.sha256();
    const { aligner, evaluator } = await loadServerRoles({
      spec,
      model,
      modelSha256,
      checkUnchanged: () => run.checkUnchanged(),
      data,
      tokenizer,
      compute,
      cache: directory.cache,
      trace,
    });
    const outcome = await run.federate({
      settings: { job: job.metadata.name, ...spec },
      layouts: layoutsOf(model),
      aligner,
      evaluator,
      received: new ReceivedResults(directory.received),
      emit,
      onSweep: run.onSweep,
      onEvaluation: run.onEvaluation,
      trace,
      clock: systemClock,
      meter: serverMeter(compute, run.place),
      signal,
      checkpoints: {
        save: (checkpoint) => {
          run.checkUnchanged();
          return record.save(checkpoint);
        },
      },
      from,
      initial: startingLora(model, spec, folders.model),
      metricsBytes: () => record.metricsBytes(),
    });
    if (outcome.outcome === 'interrupted') {
      emit({
        event: 'end',
        outcome: 'interrupted',
        message: `interrupted in round ${outcome.round}; continue with --resume`,
      });
      return { outcome: 'interrupted', round: outcome.round };
    }
    run.checkUnchanged();
    const report = await record.finish(outcome.lora.adapter, absoluteUri(spec.model.uri, folders.model));
    return { outcome: 'succeeded', report };
  } catch (error) {
    try {
      emit({ event: 'end', outcome: 'failed', message: reasonOf(error) });
    } catch {
      // On a full disk, this event cannot be written either. The first error is still the one to report.
    }
    throw error;
  }
}

export function layoutsOf({ adapter, emulator }: Pick<FederatedModel, 'adapter' | 'emulator'>): LoraLayouts {
  return { adapter: adapter.layout, emulator: emulator.layout };
}
