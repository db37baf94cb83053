import Type from 'typebox';
import { choice, integer, number, object, rate } from '../json-schema/fields.ts';
import { optimizer } from './optimizer.ts';

export const Local = object(
  'A client’s training of the adapter in a round: cross-entropy on the response tokens + proximalWeight · Σ ‖W - W(t)‖².',
  {
    steps: integer('K: optimizer steps a client makes in a round.', { default: 30, minimum: 1, maximum: 1_000_000 }),
    batchSize: integer('Sequences in a forward and backward pass.', { default: 1, minimum: 1, maximum: 4096 }),
    gradientAccumulation: integer('Passes whose gradients are averaged into one optimizer step.', {
      default: 1,
      minimum: 1,
      maximum: 4096,
    }),
    sequenceLength: integer('Tokens a sequence is cut to.', { default: 512, minimum: 2, maximum: 1_048_576 }),
    optimizer: optimizer('a client’s steps in a round', 5e-4),
    proximalWeight: Type.Optional(
      number(
        'λ: weight of the squared distance of the merged adapter weights W from W(t), where they stood at the round’s start. ' +
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
  'The rounds: who takes part, and what happens when some do not.',
  {
    rounds: integer('Number of rounds T.', { default: 10, minimum: 1, maximum: 1_000_000 }),
    clients: integer('Number of clients the training records are dealt out to.', {
      default: 3,
      minimum: 1,
      maximum: 10_000,
    }),
    clientsPerRound: Type.Optional(
      integer('Clients drawn to take part in a round. Default: all of them.', {
        minimum: 1,
        maximum: 10_000,
        preset: 'clients',
      }),
    ),
    quorum: Type.Optional(
      integer('Clients that must report for a round to count. Default: half of clientsPerRound, rounded up.', {
        minimum: 1,
        maximum: 10_000,
        preset: 'half of clientsPerRound',
      }),
    ),
    roundDeadlineSeconds: integer('Seconds after which a round goes on with whoever has reported; 0 = waits for all.', {
      default: 3600,
      minimum: 0,
      maximum: 31_536_000,
    }),
    maxRoundRetries: integer('Times a round that missed its quorum is tried again before the job fails.', {
      default: 3,
      minimum: 0,
      maximum: 1000,
    }),
    dropoutRate: rate(
      'Probability in [0, 1) that a drawn client drops out of the round, simulated. Not the emulator’s β.',
      {
        default: 0,
      },
    ),
    local: Local,
    aggregation: object('How the clients’ adapters become one.', {
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
