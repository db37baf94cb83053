import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { FedBiOTJobSpec } from '../crds/types.ts';
import { readJob } from '../worker/run/job-manifest.ts';
import { writeManifest } from './job.ts';
import { writePublicPool } from './public-pool.ts';

export const SEQUENCE_LENGTH = 256;
/**
 * For both phases. AdamW's first steps depend on the signs of gradients, so that a high rate would amplify rounding
 * errors.
 */
const OPTIMIZER = { kind: 'AdamW', learningRate: 5e-4 };
export const CLIENTS = 3;

/**
 * `round`: one round that aligns on the whole public data, so that it computes every teacher state. `steady`: a second
 * alignment on sequences whose states are stored; one client computes one step, because a round needs a client.
 */
export interface Case {
  readonly kind: 'round' | 'steady';
  readonly klWeight: number;
  readonly batchSize: number;
}

interface JobOptions {
  readonly model: string;
  readonly data: string;
  /** The subfolder of `data` with the public data. */
  readonly public: string;
  /** Of the emulator and of the server's passes without a gradient. */
  readonly weights: FedBiOTJobSpec['model']['computeWeights'];
  readonly alignSteps: number;
  readonly localSteps: number;
}

export interface Job {
  readonly folder: string;
  readonly path: string;
  readonly spec: FedBiOTJobSpec;
}

/** Writes the job of a case into a folder. */
export async function writeJob({ kind, klWeight, batchSize }: Case, options: JobOptions, folder: string): Promise<Job> {
  const { weights, alignSteps, localSteps } = options;
  const steady = kind === 'steady';
  mkdirSync(folder, { recursive: true });
  const whole = resolve(options.data, options.public, 'train.jsonl');
  const pool = join(folder, 'public.jsonl');
  if (steady)
    await writePublicPool(whole, pool, {
      model: options.model,
      records: alignSteps * batchSize,
      sequenceLength: SEQUENCE_LENGTH,
    });
  const path = join(folder, 'job.yaml');
  writeManifest(path, {
    apiVersion: 'fedbiot.io/v1alpha1',
    kind: 'FedBiOTJob',
    metadata: { name: 'speed' },
    spec: {
      model: { uri: resolve(options.model), computeWeights: weights },
      emulator: {
        weights,
        layerDropRate: 0.5,
        alignment: {
          initialSteps: alignSteps,
          stepsPerRound: alignSteps,
          batchSize,
          sequenceLength: SEQUENCE_LENGTH,
          klWeight,
          lora: { rank: 8 },
          optimizer: OPTIMIZER,
        },
      },
      adapter: { layers: 4, lora: { rank: 8 } },
      data: { train: { uri: resolve(options.data, 'gsm8k/train.jsonl') }, public: { uri: steady ? pool : whole } },
      federation: {
        rounds: steady ? 2 : 1,
        clients: steady ? 1 : CLIENTS,
        local: {
          steps: steady ? 1 : localSteps,
          batchSize,
          sequenceLength: SEQUENCE_LENGTH,
          proximalWeight: 0,
          optimizer: OPTIMIZER,
        },
      },
    },
  });
  return { folder, path, spec: readJob(path).spec };
}
