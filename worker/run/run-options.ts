import type { RunEvent } from '../../crds/facts/events.ts';
import type { Provider } from '../engine/compute-protocol.ts';
import type { LiveEvent } from '../report/display-state.ts';
import type { VerifyOptions } from './while-verifying.ts';

/** Options of an embedded run. */
export interface RunOptions extends VerifyOptions {
  /** Path of the manifest. */
  readonly job: string;
  /** Folder for everything the run writes. */
  readonly out: string;
  /** Resume the run in `out`. */
  readonly resume: boolean;
  /** Number of compute processes that train clients in parallel; null means one, with all cores. */
  readonly workers: number | null;
  /** Threads of each compute process; null means all cores. */
  readonly threads: number | null;
  readonly provider: Provider;
  /** Run even if the estimate exceeds the available memory or the free disk space. */
  readonly force: boolean;
  /** Folder for batches and LoRA snapshots, to replay the run elsewhere. */
  readonly trace: string | null;
  /** Aborts when the user asks to stop: finish the step, write a checkpoint, return `interrupted`. */
  readonly signal: AbortSignal;
  /** Receives each run event once, when it is written to metrics.jsonl, and the live events in between. */
  readonly onEvent: (event: LiveEvent) => void;
  /** Receives the events of a resumed run up to its checkpoint, before any other event. */
  readonly onResume?: (events: readonly RunEvent[]) => void;
}
