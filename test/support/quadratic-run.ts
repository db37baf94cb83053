import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointStore } from '../../worker/federation/checkpoint.ts';
import { systemClock } from '../../worker/federation/clock.ts';
import { federateInProcess } from '../../worker/federation/in-process.ts';
import { runClientWorker } from '../../worker/federation/client-worker.ts';
import { coordinate } from '../../worker/federation/coordinator.ts';
import type { Outcome } from '../../worker/federation/coordinator.ts';
import { sealLora } from '../../worker/federation/lora-package.ts';
import { ReceivedResults } from '../../worker/federation/received-results.ts';
import { openRunDirectory } from '../../worker/run/run-directory.ts';
import type { RunManifest } from '../../worker/run/run-directory.ts';
import { unmetered } from '../../worker/federation/spent.ts';
import type { FederationSettings } from '../../worker/federation/round-context.ts';
import { MetricsLog } from '../../worker/report/metrics-log.ts';
import type { ClientTransport, ServerTransport } from '../../worker/transport/contract.ts';
import { MemoryTransport } from '../../worker/transport/memory.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import { initialLora, layouts, localTrainer, quadraticAligner, quadraticEvaluator } from './quadratic-federation.ts';

const manifest: RunManifest = { job: 'quadratic', sha256: { spec: 'a' }, versions: { fedbiot: '0.1.0' } };

type Parts = Parameters<typeof federateInProcess>[0];

export interface RunOptions extends Partial<Omit<Parts, 'settings' | 'emit'>> {
  readonly workers?: number;
  /** Writes a file of a checkpoint. */
  readonly write?: (path: string, bytes: Uint8Array) => Promise<void>;
  readonly onEvent?: (event: RunEvent) => void;
}

/**
 * One process's part of a run in the folder `root`: from its newest checkpoint, if there is one, to the end or an
 * interruption.
 */
export function runQuadratic(root: string, settings: FederationSettings, options: RunOptions = {}): Promise<Outcome> {
  return inRunDirectory(root, settings, options, federateInProcess);
}

/** Opens the folder `root`, calls `run` with the parts of a run in it, and returns the outcome. */
export async function inRunDirectory(
  root: string,
  settings: FederationSettings,
  options: RunOptions,
  run: (parts: Parts) => Promise<Outcome>,
): Promise<Outcome> {
  const { workers = 1, write, onEvent, ...parts } = options;
  const directory = openRunDirectory(root, manifest, { resume: existsSync(root) });
  const metrics = new MetricsLog(directory.metrics);
  try {
    const { keep } = settings.checkpoint;
    const checkpoints = new CheckpointStore(directory.checkpoints, {
      layouts,
      origin: directory,
      keep,
      ...(write && { write }),
    });
    const warnings: string[] = [];
    const from = await checkpoints.load((message) => warnings.push(message));
    metrics.truncateTo(from?.metricsBytes ?? 0);
    const emit = (event: RunEvent) => {
      metrics.append(event);
      onEvent?.(event);
    };
    for (const message of warnings) emit({ event: 'warning', message });
    return await run({
      settings,
      layouts,
      aligner: quadraticAligner({ initialSteps: 6, stepsPerRound: 3 }),
      evaluator: quadraticEvaluator(settings.federation.clients),
      received: new ReceivedResults(directory.received),
      emit,
      onSweep: () => {},
      onEvaluation: () => {},
      trace: null,
      clock: systemClock,
      meter: unmetered,
      signal: new AbortController().signal,
      checkpoints,
      from,
      initial: initialLora(),
      metricsBytes: () => metrics.length(),
      trainers: Array.from({ length: workers }, () => localTrainer(settings.federation.local)),
      onLocalStep: () => {},
      ...parts,
    });
  } finally {
    metrics.close();
    directory.release();
  }
}

/** A server and one client worker, connected by a memory transport. `client` and `server` may wrap their ends. */
export async function overMemory(
  parts: Parts,
  { client = (end) => end, server = (end) => end, sharesProcesses = true }: Wrapped = {},
): Promise<Outcome> {
  const transport = new MemoryTransport();
  const worker = runClientWorker({
    transport: client(transport.connect()),
    trainer: parts.trainers[0]!,
    layouts: parts.layouts,
    onStep: () => {},
    onSweep: () => {},
    signal: parts.signal,
  });
  try {
    return await coordinate({ ...parts, transport: server(transport), sharesProcesses });
  } finally {
    await transport.close();
    await worker;
  }
}

interface Wrapped {
  readonly client?: (end: ClientTransport) => ClientTransport;
  readonly server?: (end: ServerTransport) => ServerTransport;
  readonly sharesProcesses?: boolean;
}

/** SHA-256 of both LoRA vectors. */
export function digest({ lora }: Pick<Outcome, 'lora'>): string {
  return sealLora(layouts, lora).sha256;
}

/** The lines of metrics.jsonl without durations, which differ from run to run. */
export function metricsOf(root: string): unknown[] {
  const lines = readFileSync(join(root, 'metrics.jsonl'), 'utf8').trimEnd().split('\n');
  return lines.map((line): unknown =>
    JSON.parse(line, (key, value: unknown) => (key === 'ms' || key === 'seconds' ? 0 : value)),
  );
}
