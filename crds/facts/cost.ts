import Type from 'typebox';
import type { Static } from 'typebox';
import { describedAs, integer, number } from '../json-schema/fields.ts';

const amount = (description: string) => integer(description, { minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** What a role has used (docs/running.md, "what is measured"). */
export const RoleCost = Type.Object({
  cpuSeconds: number('Processor time.', { minimum: 0 }),
  gpuSeconds: number('Time of computations on a GPU, times GPUs; 0 on processors.', { minimum: 0 }),
  tokens: amount('Tokens trained on, without padding.'),
  peakMemoryBytes: amount(
    'Peak resident size of the largest compute process; in a pod, with the process that leads it.',
  ),
});

/** Bytes of LoRA vectors between the server and all clients. */
export const RoundBytes = Type.Object({
  down: amount('Round packages, to clients.'),
  up: amount('Results, from clients.'),
});

export const RoundCost = Type.Object({
  server: describedAs(RoleCost, 'What the server used.'),
  clients: describedAs(RoleCost, 'What the clients, together, used.'),
});

/** An amount, and the same with the full model sent to the clients and trained there. */
export const Saving = Type.Object({
  here: number('In this job.', { minimum: 0 }),
  fullModel: number('With the full model sent to the clients and trained there.', { minimum: 0 }),
  saved: number('The difference; negative where the full model would have cost less.'),
});

/** What the finished rounds of a run have cost, and what they saved. FLOPs are by formula (docs/method.md). */
export const RunCost = Type.Object({
  ...RoundCost.properties,
  bytes: describedAs(
    Type.Object({ bundle: amount('The emulator, once to each client.'), ...RoundBytes.properties }),
    'Bytes between the server and all clients.',
  ),
  savings: describedAs(
    Type.Object({
      bytes: describedAs(Saving, 'Bytes between the server and all clients.'),
      flops: describedAs(Saving, 'Floating-point operations of training and alignment, by formula.'),
    }),
    'Against the full model on the clients.',
  ),
});

export type RoleCost = Static<typeof RoleCost>;
export type RoundBytes = Static<typeof RoundBytes>;
export type RoundCost = Static<typeof RoundCost>;
export type RunCost = Static<typeof RunCost>;
export type Saving = Static<typeof Saving>;
