import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import { Compute } from '../engine/compute.ts';
import type { ComputeOptions } from '../engine/compute.ts';
import { systemFailure } from '../files/system-failure.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { writeMiniature } from './miniature.ts';

/** A miniature of a job's model, and a process to compute with it. */
export interface Measured {
  readonly compute: Compute;
  readonly model: FederatedModel;
  readonly spec: FedBiOTJobSpec;
}

export interface MeasuredOptions {
  readonly parameters: number;
  readonly compute: ComputeOptions;
  /** Aborts to end the measurement at once. */
  readonly signal: AbortSignal;
}

/**
 * Measures with a miniature in a temporary folder, which is removed in any case.
 * @throws the signal's reason if it aborts
 */
export async function withMiniature<T>(
  model: FederatedModel,
  spec: FedBiOTJobSpec,
  { parameters, compute: options, signal }: MeasuredOptions,
  measure: (miniature: Measured) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const folder = temporaryFolder();
  try {
    const { copiedWeightBytes, ...miniature } = await writeMiniature(folder, model, spec, {
      parameters,
      provider: options.provider,
    });
    signal.throwIfAborted();
    const compute = new Compute({ ...options, copiedWeightBytes });
    // What waits for the process fails then.
    const close = () => compute.close();
    signal.addEventListener('abort', close);
    try {
      return await measure({ compute, spec, ...miniature });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', close);
      compute.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function temporaryFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'fedbiot-plan-'));
  } catch (error) {
    throw systemFailure(error, `cannot write a model into ${tmpdir()} to measure the time, which --no-time leaves out`);
  }
}
