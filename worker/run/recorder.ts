import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { RunReport } from '../../crds/facts/report.ts';
import { CheckpointStore } from '../federation/checkpoint.ts';
import type { LoraLayouts } from '../federation/contracts.ts';
import type { SavedSnapshot } from '../federation/snapshot.ts';
import type { RunDirectory } from './run-directory.ts';
import { fileSha256 } from '../files/sha256.ts';
import { exportPeft } from '../model/lora/peft.ts';
import { accumulate, emptyHistory, reportOf } from '../report/accumulate.ts';
import type { RunHistory } from '../report/accumulate.ts';
import { MetricsLog } from '../report/metrics-log.ts';
import { mendMetrics, readLines } from '../report/metrics-mend.ts';
import { readReportJson, writeReportHtml, writeReportJson } from '../report/report-files.ts';
import type { ClientData } from './job-data.ts';
import { versions } from './versions.ts';

export interface RunRecorderOptions {
  readonly directory: RunDirectory;
  readonly layouts: LoraLayouts;
  readonly spec: Pick<FedBiOTJobSpec, 'seed' | 'checkpoint' | 'adapter'>;
  /** Who holds what, for the report; empty where only the clients know. */
  readonly partition: ClientData['partition'];
  /** Hears every event once, after it is in the log. */
  readonly onEvent: (event: RunEvent) => void;
}

/**
 * What a run leaves in its folder while it goes and when it ends: checkpoints, metrics.jsonl, the reports and the
 * adapter. Once another process has taken the folder, nothing more is written, and every call throws FolderLost.
 */
export class RunRecorder {
  /** Where an earlier run of the job stopped; null when there was none. */
  readonly from: SavedSnapshot | null;
  /** What was found damaged in the folder. */
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

  /** Opens the record at the newest checkpoint that is whole; metrics.jsonl is cut to where that was made. */
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
      const mended = await mendedMetrics(directory, from);
      if (mended !== null) warnings.push(mended);
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
    // What a checkpoint says of metrics.jsonl must be on the disk before the checkpoint is.
    this.#log.sync();
    await this.#checkpoints.save(point);
    if (this.#history.rounds.length > 0) await writeReportJson(this.#options.directory.root, this.report());
  };

  /** Length of metrics.jsonl after the last event. */
  metricsBytes(): number {
    return this.#log.length();
  }

  /**
   * The run succeeded: writes the adapter and the final reports.
   * @param baseModel what the adapter names as the model it belongs to
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
    await writeReportHtml(directory.root, report, versions().fedbiot);
    return report;
  }

  /** The report of a run that has not ended, as far as it has come. */
  report(): RunReport {
    const { spec, partition } = this.#options;
    return reportOf(this.#history, { seed: spec.seed, partition: [...partition], adapterSha256: null });
  }

  close(): void {
    try {
      this.#options.directory.check();
    } catch {
      // What is still in the log's buffer is of no more use.
      return;
    }
    this.#log.close();
  }
}

/** What was lost of metrics.jsonl, in words; null where it is what the checkpoint knows. */
async function mendedMetrics(
  { root, metrics }: RunDirectory,
  { metricsBytes, snapshot: { state } }: SavedSnapshot,
): Promise<string | null> {
  const report = await readReportJson(root).catch(() => null);
  const rounds = state.at === 'Finished' ? state.round : state.round - 1;
  return mendMetrics(metrics, { bytes: metricsBytes, rounds, spare: report?.rounds ?? [] });
}

/** The events in a run's metrics.jsonl, without lines that are damaged; none where there is no such file. */
export function readEvents(path: string): RunEvent[] {
  return existsSync(path) ? readLines(readFileSync(path)).events.map(({ event }) => event) : [];
}
