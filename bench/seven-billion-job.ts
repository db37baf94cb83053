import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FedBiOTJobSpec } from '../crds/types.ts';
import { CALIBRATION_TOKENS } from '../worker/inference/calibration.ts';
import { PACK_TOKENS } from '../worker/inference/packs.ts';
import { randomStream } from '../worker/random.ts';
import { LLAMA_2_7B, writeLlama } from '../test/support/llama-shape.ts';
import { writeManifest } from './job.ts';

const ALIGNMENT_STEPS = 1;
const CLIENT_STEPS = 2;
/** The same for both phases, as torch_round.py has it. */
const OPTIMIZER = { kind: 'AdamW', learningRate: 5e-4 };
/** One full pass of the evaluation. */
const HELD_OUT_TOKENS = PACK_TOKENS;

/** The quickstart's tokenizer, which the model directory has, knows no more; the model's vocabulary has 32,000. */
const VOCABULARY = 362;

/** Writes a model directory with the shape of LLaMA-2-7B, cut to some layers, and random weights in float16. */
export async function writeSevenBillion(folder: string, layers: number): Promise<void> {
  await writeLlama(folder, { ...LLAMA_2_7B, layers });
}

export interface SevenBillionJob {
  readonly model: string;
  /** Of the model. */
  readonly layers: number;
  /** Tokens of every sequence. */
  readonly length: number;
  readonly evaluates: boolean;
  readonly weights?: FedBiOTJobSpec['emulator']['weights'];
  readonly computeWeights?: FedBiOTJobSpec['model']['computeWeights'];
}

/**
 * Writes a job of one round and one client, on random sequences with a label for every token; each step has another
 * sequence. The adapter is the last two layers (the last one of a cut shape), the emulator half of the others.
 * @returns the manifest's path
 */
export function writeSevenBillionJob(folder: string, settings: SevenBillionJob): string {
  const { model, layers, length, evaluates, weights = 'AsStored', computeWeights = 'AsStored' } = settings;
  const records = {
    train: CLIENT_STEPS,
    public: weights === 'Int4' ? CALIBRATION_TOKENS / length : ALIGNMENT_STEPS,
    ...(evaluates ? { eval: HELD_OUT_TOKENS / length } : {}),
  };
  const data = Object.fromEntries(
    Object.entries(records).map(([role, count]) => {
      const uri = join(folder, `${role}-${count}-${length}.jsonl`);
      const random = randomStream(0, role);
      const record = () => {
        const ids = Array.from({ length }, () => random.below(VOCABULARY));
        return `${JSON.stringify({ input_ids: ids, labels: ids })}\n`;
      };
      writeFileSync(uri, Array.from({ length: count }, record).join(''));
      return [role, { uri }];
    }),
  );
  const job = join(folder, `job-${length}-${weights}-${computeWeights}.json`);
  const common = { batchSize: 1, sequenceLength: length };
  writeManifest(job, {
    apiVersion: 'fedbiot.io/v1alpha1',
    kind: 'FedBiOTJob',
    metadata: { name: 'seven-billion' },
    spec: {
      model: { uri: model, computeWeights },
      emulator: {
        weights,
        layerDropRate: 0.5,
        alignment: {
          ...common,
          optimizer: OPTIMIZER,
          initialSteps: ALIGNMENT_STEPS,
          stepsPerRound: ALIGNMENT_STEPS,
          klWeight: 0,
        },
      },
      adapter: { layers: layers < 8 ? 1 : 2 },
      data,
      federation: {
        rounds: 1,
        clients: 1,
        local: { ...common, optimizer: OPTIMIZER, proximalWeight: 0, steps: CLIENT_STEPS },
      },
      evaluation: { task: 'loss' },
    },
  });
  return job;
}
