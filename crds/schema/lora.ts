import { choice, integer, list, number, object, rate } from '../json-schema/fields.ts';

const PROJECTIONS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;

export const Projection = choice(
  'A linear projection of a decoder layer, by its name in Hugging Face checkpoints.',
  PROJECTIONS,
);

/** Low-rank weights added to frozen projections. `part` names the layers that they adapt. */
export const lora = (part: string) =>
  object(`Low-rank weights (LoRA) trained on ${part}: W + (alpha / rank) · B·A, kept in float32.`, {
    rank: integer('Rank r of A and B.', { default: 8, minimum: 1, maximum: 1024 }),
    alpha: number('Scale α: the product B·A is multiplied by alpha / rank.', {
      default: 16,
      exclusiveMinimum: 0,
      maximum: 65536,
    }),
    dropout: rate('Dropout on the input of A in training: probability in [0, 1).', { default: 0 }),
    targets: list('The projections with low-rank weights; all seven by default.', Projection, {
      default: PROJECTIONS,
      minItems: 1,
      maxItems: PROJECTIONS.length,
      uniqueItems: true,
    }),
  });

export const Lora = lora('the layers');
