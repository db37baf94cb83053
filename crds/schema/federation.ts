import Type from 'typebox';
import { choice, integer, number, object, rate } from '../json-schema/fields.ts';
import { optimizer } from './optimizer.ts';

export const Local = object(
  'A client’s training of the adapter in a round; loss = cross-entropy on the response tokens + proximalWeight · Σ ‖W - W(t)‖².',
  {
    steps: integer('K: optimizer steps per client and round.', { default: 30, minimum: 1, maximum: 1_000_000 }),
    batchSize: integer('Sequences per forward and backward pass.', { default: 1, minimum: 1, maximum: 4096 }),
    gradientAccumulation: integer('Passes whose gradients are averaged for one optimizer step.', {
      default: 1,
      minimum: 1,
      maximum: 4096,
    }),
    sequenceLength: integer('Maximum length of a sequence, in tokens; longer ones are truncated.', {
      default: 512,
      minimum: 2,
      maximum: 1_048_576,
    }),
    optimizer: optimizer('a client’s steps in a round', 5e-4),
    proximalWeight: Type.Optional(
      number(
        'λ: weight of the squared distance between the merged adapter weights W and their values W(t) at the start of the round. ' +
          'Default by method: FedBiOT 0.1, the others 0.',
        { minimum: 0, maximum: 1e6, preset: 'by method' },
      ),
    ),
  },
  {
    rules: [
      {
        rule: 'self.optimizer.warmupSteps <= self.steps',
        message: 'optimizer.warmupSteps must not exceed steps: the learning rate would never be reached',
        fieldPath: '.optimizer.warmupSteps',
      },
    ],
  },
);

export const Federation = object(
  'Rounds, participation of clients, and what happens when clients do not report.',
  {
    rounds: integer('Number of rounds T.', { default: 10, minimum: 1, maximum: 1_000_000 }),
    clients: integer('Number of clients that the training records are partitioned over.', {
      default: 3,
      minimum: 1,
      maximum: 10_000,
    }),
    clientsPerRound: Type.Optional(
      integer('Number of clients sampled in each round. Default: all.', {
        minimum: 1,
        maximum: 10_000,
        preset: 'clients',
      }),
    ),
    quorum: Type.Optional(
      integer(
        'Minimum number of clients that must report for a round to succeed. Default: half of clientsPerRound, rounded up.',
        {
          minimum: 1,
          maximum: 10_000,
          preset: 'half of clientsPerRound',
        },
      ),
    ),
    roundDeadlineSeconds: integer(
      'Seconds after which a round continues with the clients that have reported; 0 = wait for all.',
      {
        default: 3600,
        minimum: 0,
        maximum: 31_536_000,
      },
    ),
    maxRoundRetries: integer('How often a round that missed its quorum is retried before the job fails.', {
      default: 3,
      minimum: 0,
      maximum: 1000,
    }),
    dropoutRate: rate(
      'Simulated client dropout: probability in [0, 1) that a sampled client drops out of the round. Unrelated to emulator.layerDropRate.',
      {
        default: 0,
      },
    ),
    local: Local,
    aggregation: object('How the clients’ adapters are aggregated.', {
      kind: choice('FedAvg: mean of the low-rank weights, weighted by the number of training samples.', ['FedAvg'], {
        default: 'FedAvg',
      }),
    }),
  },
  {
    rules: [
      {
        rule: '!has(self.clientsPerRound) || self.clientsPerRound <= self.clients',
        message: 'clientsPerRound must not exceed clients',
        fieldPath: '.clientsPerRound',
      },
      {
        rule: '!has(self.quorum) || self.quorum <= (has(self.clientsPerRound) ? self.clientsPerRound : self.clients)',
        message: 'quorum must not exceed clientsPerRound (by default all clients): it could never be reached',
        fieldPath: '.quorum',
      },
    ],
  },
);
