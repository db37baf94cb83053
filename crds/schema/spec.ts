import Type from 'typebox';
import { TASK_NAMES, TASKS } from '../facts/tasks.ts';
import { Adapter } from './adapter.ts';
import { Data } from './data.ts';
import { Emulator } from './emulator.ts';
import { Federation } from './federation.ts';
import { choice, FILE_URL, integer, object, string } from '../json-schema/fields.ts';
import { immutable } from './immutable.ts';
import { lifecycle, MUTABLE } from './lifecycle.ts';
import { ClientPods, ServerPod } from './pods.ts';
import { Redis } from './redis.ts';
import { Volumes } from './volumes.ts';

export const Model = object('The full model. It stays with the server, except with method FullModel.', {
  uri: string(
    'Hugging Face directory (config.json, *.safetensors, tokenizer.json): a path (relative to the manifest’s folder, on a ' +
      'cluster to volumes.model), a file:///… URL or hf://org/name@revision.',
    {
      minLength: 1,
      maxLength: 4096,
      rules: [
        FILE_URL,
        {
          rule: "!self.contains('://') || self.startsWith('file:///') || self.startsWith('hf://')",
          message: 'must be a path, a file:///… URL or hf://org/name@revision',
        },
        {
          rule: "!self.startsWith('hf://') || self.matches('^hf://[^/@]+/[^/@]+(@[^@]+)?$')",
          message: 'a Hugging Face model is written hf://org/name or hf://org/name@revision',
        },
      ],
    },
  ),
  dtype: choice(
    'Data type of the frozen weights; auto = as stored. Trained weights are always float32.',
    ['auto', 'float32', 'bfloat16', 'float16'],
    { default: 'auto' },
  ),
  computeWeights: choice(
    'What the server’s passes without a gradient (the teacher part’s states, the importance of layers, evaluation) multiply by: AsStored, or ' +
      'Int8: the projections of all layers in 8 bits with a scale per output, quantised once by the server. Int8 halves the weights that these ' +
      'passes read of a half-precision model, and speeds them up on processors that multiply bytes. Clients and trained layers are not affected.',
    ['AsStored', 'Int8'],
    { default: 'AsStored' },
  ),
});

export const Evaluation = object(
  'When and how emulator + adapter (AdapEmu) and full model + adapter (AdapFu) are scored.',
  {
    task: choice(
      `What is measured in addition to the loss. ${TASK_NAMES.map((name) => `${name}: ${TASKS[name]}.`).join(' ')}`,
      TASK_NAMES,
      { default: 'loss' },
    ),
    everyRounds: integer('Rounds between evaluations; 0 = only after the last. The last round is always evaluated.', {
      default: 1,
      minimum: 0,
      maximum: 1_000_000,
    }),
    limit: integer('Number of records to score, from the first; 0 = all.', {
      default: 0,
      minimum: 0,
      maximum: 1_000_000_000,
    }),
    maxNewTokens: integer('Maximum number of tokens generated per answer, for tasks that generate.', {
      default: 256,
      minimum: 1,
      maximum: 65_536,
    }),
    batchSize: integer('Records per batch.', { default: 8, minimum: 1, maximum: 4096 }),
  },
);

export const Checkpoint = object('Checkpoints, from which an interrupted run resumes.', {
  everyRounds: integer('Rounds between checkpoints.', { default: 1, minimum: 1, maximum: 1_000_000 }),
  keep: integer('Number of checkpoints kept; older ones are removed.', { default: 2, minimum: 1, maximum: 1000 }),
});

const PUBLIC_DATA_IS_USED =
  "self.emulator.layerSelection == 'Importance' || self.emulator.weights == 'Int4' || " +
  "(has(self.emulator.alignment.schedule) ? self.emulator.alignment.schedule != 'Never' : self.method in ['FedBiOT', 'OffsiteTuning'])";

const properties = {
  method: choice(
    'Preset for emulator.layerDropRate, emulator.alignment.schedule and languageModelWeight, adapter.placement and layers, and ' +
      'federation.local.proximalWeight; each of them can be overridden. FedBiOT: the KDD 2024 method. OffsiteTuning, FedOT: ' +
      'its baselines. FullModel: clients train the full model (upper bound).',
    ['FedBiOT', 'OffsiteTuning', 'FedOT', 'FullModel'],
    { default: 'FedBiOT' },
  ),
  seed: integer('Seed of every random choice of the job.', {
    default: 0,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
  }),
  model: Model,
  emulator: Emulator,
  adapter: Adapter,
  data: Data,
  federation: Federation,
  evaluation: Evaluation,
  checkpoint: Checkpoint,
  server: ServerPod,
  client: ClientPods,
  volumes: Type.Optional(Volumes),
  redis: Type.Optional(Redis),
  ...lifecycle,
};

export const Spec = object('The desired training: model, data, method, federation and pods.', properties, {
  rules: [
    {
      rule: `has(self.data.public) || !(${PUBLIC_DATA_IS_USED})`,
      message:
        'data.public is required: the emulator is aligned, its layers are selected, or its weights are rounded to 4 bits, on public ' +
        'data; give it, or set emulator.alignment.schedule: Never, emulator.layerSelection: Uniform and emulator.weights: Int8 or AsStored',
      fieldPath: '.data.public',
    },
    {
      rule: "has(self.data.eval) || self.evaluation.task == 'loss'",
      message: 'data.eval is required: evaluation.task asks for a score on held-out records',
      fieldPath: '.data.eval',
    },
    ...immutable(properties, MUTABLE),
  ],
});
