import Type from 'typebox';
import type { Static } from 'typebox';
import { amount, describedAs, number } from '../json-schema/fields.ts';

/** Resources used by a role (docs/running.md, "what is measured"). */
export const RoleCost = Type.Object({
  cpuSeconds: number('CPU time in seconds.', { minimum: 0 }),
  gpuSeconds: number('GPU time in seconds: duration of computations times number of GPUs; 0 on CPUs.', { minimum: 0 }),
  tokens: amount('Tokens trained on, excluding padding.'),
  peakMemoryBytes: amount(
    'Peak resident memory of the largest compute process; in a pod, including its parent process.',
  ),
});

/** Bytes of LoRA vectors between the server and all clients. */
export const RoundBytes = Type.Object({
  down: amount('Round packages sent to clients.'),
  up: amount('Results received from clients.'),
});

export const RoundCost = Type.Object({
  server: describedAs(RoleCost, 'Resources used by the server.'),
  clients: describedAs(RoleCost, 'Resources used by all clients together.'),
});

/** An amount in this job, compared with training the full model on the clients. */
export const Saving = Type.Object({
  here: number('In this job.', { minimum: 0 }),
  fullModel: number('If the full model were sent to the clients and trained there.', { minimum: 0 }),
  saved: number('The difference; negative if the full model would have cost less.'),
});

/** Cost of the finished rounds of a run, and what they saved. FLOPs are computed by formula (docs/method.md). */
export const RunCost = Type.Object({
  ...RoundCost.properties,
  bytes: describedAs(
    Type.Object({ bundle: amount('The emulator, sent once to each client.'), ...RoundBytes.properties }),
    'Bytes transferred between the server and all clients.',
  ),
  savings: describedAs(
    Type.Object({
      bytes: describedAs(Saving, 'Bytes transferred between the server and all clients.'),
      flops: describedAs(Saving, 'Floating-point operations of training and alignment, by formula.'),
    }),
    'Savings compared with the full model on the clients.',
  ),
});

export type RoleCost = Static<typeof RoleCost>;
export type RoundBytes = Static<typeof RoundBytes>;
export type RoundCost = Static<typeof RoundCost>;
export type RunCost = Static<typeof RunCost>;
export type Saving = Static<typeof Saving>;
