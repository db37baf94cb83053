import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { RunReport } from '../../crds/facts/report.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { CheckpointStore } from '../federation/checkpoint.ts';
import type { LoraLayouts } from '../federation/contracts.ts';
import type { SavedSnapshot } from '../federation/snapshot.ts';
import type { RunDirectory } from './run-directory.ts';
import { fileSha256 } from '../files/sha256.ts';
import { exportPeft } from '../model/lora/peft.ts';
import { accumulate, emptyHistory, reportOf } from '../report/accumulate.ts';
import type { RunHistory } from '../report/accumulate.ts';
import { MetricsLog } from '../report/metrics-log.ts';
import { repairMetrics, readLines } from '../report/metrics-repair.ts';
import { readReportJson, writeReportHtml, writeReportJson } from '../report/report-files.ts';
import type { ClientData } from './job-data.ts';
import { FEDBIOT_VERSION } from './versions.ts';

export interface RunRecorderOptions {
  readonly directory: RunDirectory;
  readonly layouts: LoraLayouts;
  readonly spec: Pick<FedBiOTJobSpec, 'seed' | 'checkpoint' | 'adapter'>;
  /** The partition of the training data, for the report; empty if only the clients know it. */
  readonly partition: ClientData['partition'];
  /** Receives each event once, after it is written to the log. */
  readonly onEvent: (event: RunEvent) => void;
}

/**
 * Writes a run's outputs into its folder: checkpoints, metrics.jsonl, the reports and the adapter. After another
 * process has taken over the folder, nothing more is written, and every call throws FolderLost.
 */
export class RunRecorder {
  /** The checkpoint from which the run resumes; null for a new run. */
  readonly from: SavedSnapshot | null;
  /** Damage that was found in the folder. */
  readonly warnings: readonly string[];
  readonly #options: RunRecorderOptions;
  readonly #checkpoints: CheckpointStore;
  readonly #log: MetricsLog;
  #history: RunHistory;

  private constructor(
    options: RunRecorderOptions,
    checkpoints: CheckpointStore,
    from: SavedSnapshot | null,
    warnings: readonly string[],
  ) {
    this.from = from;
    this.warnings = warnings;
    this.#options = options;
    this.#checkpoints = checkpoints;
    this.#log = new MetricsLog(options.directory.metrics);
    this.#log.truncateTo(from?.metricsBytes ?? 0);
    this.#history = readEvents(options.directory.metrics).reduce(accumulate, emptyHistory);
  }

  /** Opens the folder at its newest intact checkpoint, and truncates metrics.jsonl to the length it had then. */
  static async open(options: RunRecorderOptions): Promise<RunRecorder> {
    const { directory, layouts, spec } = options;
    const checkpoints = new CheckpointStore(directory.checkpoints, {
      layouts,
      origin: directory,
      keep: spec.checkpoint.keep,
    });
    const warnings = [...directory.warnings];
    const from = await checkpoints.load((message) => warnings.push(message));
    if (from !== null) {
      const repaired = await repairMetricsOf(directory, from);
      if (repaired !== null) warnings.push(repaired);
    }
    return new RunRecorder(options, checkpoints, from, warnings);
  }

  readonly emit = (event: RunEvent): void => {
    this.#options.directory.check();
    this.#history = accumulate(this.#history, event);
    this.#log.append(event);
    this.#options.onEvent(event);
  };

  readonly save: CheckpointStore['save'] = async (point) => {
    this.#options.directory.check();
    // A checkpoint records the length of metrics.jsonl, so that much must be on disk first.
    this.#log.sync();
    await this.#checkpoints.save(point);
    if (this.#history.rounds.length > 0) await writeReportJson(this.#options.directory.root, this.report());
  };

  /** Length of metrics.jsonl after the last event. */
  metricsBytes(): number {
    return this.#log.length();
  }

  /**
   * Writes the adapter and the final reports of a run that succeeded.
   * @param baseModel the base model that the adapter's config names
   */
  async finish(adapter: Float32Array, baseModel: string): Promise<RunReport> {
    const { directory, layouts, spec } = this.#options;
    directory.check();
    exportPeft(directory.adapter, { spec: spec.adapter.lora, layout: layouts.adapter, values: adapter }, baseModel);
    const adapterSha256 = await fileSha256(join(directory.adapter, 'adapter_model.safetensors'));
    const report = { ...this.report(), adapterSha256 };
    await writeReportJson(directory.root, report);
    this.emit({ event: 'end', outcome: 'succeeded', message: `adapter ${adapterSha256}` });
    this.#log.flush();
    await writeReportHtml(directory.root, report, FEDBIOT_VERSION);
    return report;
  }

  /** The report of the rounds so far. */
  report(): RunReport {
    const { spec, partition } = this.#options;
    return reportOf(this.#history, { seed: spec.seed, partition: [...partition], adapterSha256: null });
  }

  close(): void {
    try {
      this.#options.directory.check();
    } catch {
      // Another process has the folder: the buffered events are discarded.
      return;
    }
    this.#log.close();
  }
}

/**
 * Repairs metrics.jsonl if it does not match the checkpoint.
 * @returns a description of what was lost; null if it matches
 */
async function repairMetricsOf(
  { root, metrics }: RunDirectory,
  { metricsBytes, snapshot: { state } }: SavedSnapshot,
): Promise<string | null> {
  const report = await readReportJson(root).catch(() => null);
  const rounds = state.at === 'Finished' ? state.round : state.round - 1;
  return repairMetrics(metrics, { bytes: metricsBytes, rounds, spare: report?.rounds ?? [] });
}

/** The events in a run's metrics.jsonl, without damaged lines; empty if there is no such file. */
export function readEvents(path: string): RunEvent[] {
  return existsSync(path) ? readLines(readFileSync(path)).events.map(({ event }) => event) : [];
}

export type FinishedReport = RunReport & { adapterSha256: string };

/** The report of a finished run whose adapter is intact; null if the run still has work to do. */
export async function finishedReport({ root, report: path, adapter }: RunDirectory): Promise<FinishedReport | null> {
  const file = join(adapter, 'adapter_model.safetensors');
  if (!existsSync(path) || !existsSync(file)) return null;
  let report: RunReport;
  try {
    report = await readReportJson(root);
  } catch (error) {
    // A damaged report is written again when the run resumes from its newest checkpoint.
    if (error instanceof UserError) return null;
    throw error;
  }
  const { adapterSha256 } = report;
  return adapterSha256 !== null && (await fileSha256(file)) === adapterSha256 ? { ...report, adapterSha256 } : null;
}
