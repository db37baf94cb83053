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
    batchSize: integer('Public sequences in an optimizer step.', { default: 4, ...sequences }),
    sequenceLength: integer('Tokens a public sequence is cut to.', { default: 256, minimum: 2, maximum: 1_048_576 }),
    similarity: choice(
      "Distance between the emulator's hidden states and the teacher's: L2 is the mean square over the whole batch's (the paper's); " +
        "L2PerToken takes each token's squared error over its own squared norm; Cosine is minus the cosine; Layerwise sums " +
        'L2PerToken over every kept layer.',
      ['L2', 'L2PerToken', 'Cosine', 'Layerwise'],
      { default: 'L2PerToken' },
    ),
    klWeight: number('κ: weight of the divergence between the full model’s and the emulator’s predictions.', {
      default: 0,
      minimum: 0,
      maximum: 1e6,
    }),
    languageModelWeight: Type.Optional(
      number(
        'Weight in [0, 1] of the cross-entropy on the labels; the similarity counts the rest. ' +
          'Default by method: OffsiteTuning 0.1, the others 0.',
        { minimum: 0, maximum: 1, preset: 'by method' },
      ),
    ),
    lora: lora('the emulator’s layers'),
    optimizer: optimizer('the alignment before a round', 3e-3),
  },
);

export const Emulator = object(
  'The compressed stand-in for the layers that are not the adapter’s, which clients get.',
  {
    layerDropRate: Type.Optional(
      rate(
        'β in [0, 1): fraction of the n teacher layers left out; round(n · (1 - β)) are kept, at least 2. ' +
          'Default by method: FullModel 0, the others 0.5.',
        { preset: 'by method' },
      ),
    ),
    layerSelection: choice(
      'Which layers are kept: Uniform spreads them evenly (the paper’s); Importance keeps those that change the hidden state of the ' +
        'public data most, the first and the last always.',
      ['Uniform', 'Importance'],
      { default: 'Uniform' },
    ),
    alignment: Alignment,
  },
);
