import Type from 'typebox';
import { choice, integer, list, number, object, rate } from '../json-schema/fields.ts';

/** A pair: JSON Schema limits the number of items, the static type says the same. */
const betas = Type.Unsafe<[number, number]>(
  list(
    'AdamW: decay rates β₁ and β₂ of the running means of the gradients and the squared gradients. Two numbers in [0, 1).',
    rate('Decay rate in [0, 1).'),
    { default: [0.9, 0.999], minItems: 2, maxItems: 2 },
  ),
);

/** `phase` names the steps that the schedule covers. */
export const optimizer = (phase: string, learningRate: number) =>
  object(
    `Optimizer of ${phase}. Its state and its schedule are reset at the start of each such phase.`,
    {
      kind: choice('AdamW (decoupled weight decay) or SGD (with momentum if set).', ['AdamW', 'SGD'], {
        default: 'AdamW',
      }),
      learningRate: number('Peak learning rate η.', {
        default: learningRate,
        exclusiveMinimum: 0,
        maximum: 1000,
      }),
      betas,
      epsilon: number('AdamW: ε added to the square root of the second moment.', {
        default: 1e-8,
        exclusiveMinimum: 0,
        maximum: 1,
      }),
      weightDecay: number(
        'Weight decay, multiplied by the learning rate: decoupled for AdamW, added to the gradient for SGD.',
        {
          default: 0,
          minimum: 0,
          maximum: 1000,
        },
      ),
      momentum: rate('SGD: momentum μ in [0, 1).', { default: 0 }),
      clipNorm: number('Maximum global L2 norm of the gradients, which are scaled down to it; 0 = no clipping.', {
        default: 1,
        minimum: 0,
        maximum: 1e9,
      }),
      schedule: choice(
        'Learning rate after the warm-up: Constant, or decaying to 0 at the end of the phase (Linear or Cosine).',
        ['Constant', 'Linear', 'Cosine'],
        { default: 'Constant' },
      ),
      warmupSteps: integer('Optimizer steps over which the learning rate rises linearly from 0.', {
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
