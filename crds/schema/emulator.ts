import Type from 'typebox';
import { choice, integer, number, object, rate } from '../json-schema/fields.ts';
import { lora } from './lora.ts';
import { optimizer } from './optimizer.ts';

const sequences = { minimum: 1, maximum: 4096 } as const;

export const Alignment = object(
  'How the server trains the emulator on public data to imitate the teacher part: loss = (1 - languageModelWeight) · similarity ' +
    '+ klWeight · KL + languageModelWeight · cross-entropy.',
  {
    schedule: Type.Optional(
      choice(
        'When the emulator is aligned: before every round, once before the first, or never. ' +
          'Default by method: FedBiOT EveryRound, OffsiteTuning Once, FedOT and FullModel Never.',
        ['EveryRound', 'Once', 'Never'],
        { preset: 'by method' },
      ),
    ),
    initialSteps: integer('Optimizer steps of the alignment before round 1.', {
      default: 100,
      minimum: 0,
      maximum: 1_000_000,
    }),
    stepsPerRound: integer('Optimizer steps E of the alignment before each later round (schedule EveryRound).', {
      default: 10,
      minimum: 0,
      maximum: 1_000_000,
    }),
    batchSize: integer('Public sequences per optimizer step.', { default: 4, ...sequences }),
    sequenceLength: integer('Maximum length of a public sequence, in tokens; longer ones are truncated.', {
      default: 256,
      minimum: 2,
      maximum: 1_048_576,
    }),
    similarity: choice(
      "Distance between the emulator's hidden states and the teacher's: L2 is the squared error over the squared norm of the whole batch (as in the paper); " +
        "L2PerToken takes each token's squared error over its own squared norm; Cosine is the negative cosine similarity; Layerwise sums " +
        'L2PerToken over every kept layer.',
      ['L2', 'L2PerToken', 'Cosine', 'Layerwise'],
      { default: 'L2PerToken' },
    ),
    klWeight: number('κ: weight of the KL divergence between the predictions of full model and emulator.', {
      default: 0,
      minimum: 0,
      maximum: 1e6,
    }),
    languageModelWeight: Type.Optional(
      number(
        'Weight in [0, 1] of the cross-entropy on the labels; the similarity has the remaining weight. ' +
          'Default by method: OffsiteTuning 0.1, the others 0.',
        { minimum: 0, maximum: 1, preset: 'by method' },
      ),
    ),
    lora: lora('the emulator’s layers'),
    optimizer: optimizer('the alignment before a round', 3e-3),
  },
);

export const Emulator = object(
  'The compressed replacement for all layers outside the adapter, which is sent to clients.',
  {
    layerDropRate: Type.Optional(
      rate(
        'β in [0, 1): fraction of the n teacher layers that are dropped; round(n · (1 - β)) are kept, at least 2. ' +
          'Default by method: FullModel 0, the others 0.5.',
        { preset: 'by method' },
      ),
    ),
    layerSelection: choice(
      'Which layers are kept: Uniform keeps evenly spaced layers (as in the paper); Importance keeps the layers that change the hidden ' +
        'states of the public data most, and always the first and the last.',
      ['Uniform', 'Importance'],
      { default: 'Uniform' },
    ),
    weights: choice(
      'Format of the kept layers’ projections: AsStored, or quantised once by the server: Int8, 8 bits with a scale per output, or Int4, ' +
        '4 bits with a scale and a zero point for 32 inputs of an output, which must be in multiples of 64, rounded by GPTQ for the public ' +
        'data. Int8 halves the kept layers of a half-precision model, not adapter, embedding and head, and Int4 leaves a third; Int8 also ' +
        'speeds up its passes on processors that multiply bytes. Alignment trains the quantised emulator.',
      ['AsStored', 'Int8', 'Int4'],
      { default: 'AsStored' },
    ),
    alignment: Alignment,
  },
);
