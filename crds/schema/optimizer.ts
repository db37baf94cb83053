import Type from 'typebox';
import { choice, integer, list, number, object, rate } from '../json-schema/fields.ts';

/** Betas are a pair: JSON schema counts the items, the static type says so too. */
const betas = Type.Unsafe<[number, number]>(
  list(
    'AdamW: decay rates β₁ and β₂ of the running means of gradients and of squared gradients. Two numbers in [0, 1).',
    rate('Decay rate in [0, 1).'),
    { default: [0.9, 0.999], minItems: 2, maxItems: 2 },
  ),
);

/** `phase` names the steps the schedule runs over. */
export const optimizer = (phase: string, learningRate: number) =>
  object(
    `Optimizer of ${phase}. Its state and its schedule start anew in every such phase.`,
    {
      kind: choice('AdamW (decoupled weight decay) or SGD (with momentum, where set).', ['AdamW', 'SGD'], {
        default: 'AdamW',
      }),
      learningRate: number('Step size η at the height of the schedule.', {
        default: learningRate,
        exclusiveMinimum: 0,
        maximum: 1000,
      }),
      betas,
      epsilon: number('AdamW: ε added to the root of the second moment.', {
        default: 1e-8,
        exclusiveMinimum: 0,
        maximum: 1,
      }),
      weightDecay: number(
        'Decay of the weights per step, times the learning rate: decoupled for AdamW, in the gradient for SGD.',
        {
          default: 0,
          minimum: 0,
          maximum: 1000,
        },
      ),
      momentum: rate('SGD: momentum μ in [0, 1).', { default: 0 }),
      clipNorm: number('Gradients are scaled down to this global L2 norm where they exceed it; 0 = never.', {
        default: 1,
        minimum: 0,
        maximum: 1e9,
      }),
      schedule: choice(
        'How the learning rate goes after the warm-up: Constant, or down to 0 at the end of the phase (Linear, or half a Cosine).',
        ['Constant', 'Linear', 'Cosine'],
        { default: 'Constant' },
      ),
      warmupSteps: integer('Optimizer steps in which the learning rate rises linearly from 0.', {
        default: 0,
        minimum: 0,
        maximum: 1_000_000,
      }),
    },
    {
      rules: [
        {
          rule: "self.kind == 'SGD' || self.momentum == 0.0",
          message: 'momentum is for SGD only; AdamW has betas instead: set kind: SGD, or leave momentum out',
          fieldPath: '.momentum',
        },
      ],
    },
  );

export const Optimizer = optimizer('the phase', 1e-3);
