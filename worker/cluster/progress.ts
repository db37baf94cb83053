import Type from 'typebox';
import type { Static } from 'typebox';
import { REFUSAL_REASONS } from '../transport/refusal.ts';

const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const orNull = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

const Score = Type.Object({ accuracy: orNull(Type.Number({ minimum: 0, maximum: 1 })), loss: Type.Number() });

const amount = Type.Number({ minimum: 0 });
export const RoleCost = Type.Object({ cpuSeconds: amount, gpuSeconds: amount, tokens: amount, peakMemoryBytes: amount });
const Saving = Type.Object({ here: amount, fullModel: amount, saved: Type.Number() });

/** What a run has cost (RunCost in worker/events.ts). Sums are unbounded: clients' figures are in them. */
export const RunCost = Type.Object({
  server: RoleCost,
  clients: RoleCost,
  bytes: Type.Object({ bundle: amount, down: amount, up: amount }),
  savings: Type.Object({ bytes: Saving, flops: Saving }),
});

/**
 * Where a job stands, as its server pod tells it through Redis and the operator mirrors it to the job's status. The operator checks it
 * against this schema before use: what comes from Redis is not trusted.
 */
export const JobProgress = Type.Object({
  /** Fencing token of the server pod that wrote it: a later pod's is greater. */
  fence: count,
  /** Counts the writes of one server pod. */
  sequence: count,
  /** ISO 8601, UTC. */
  at: Type.String({ maxLength: 64 }),
  phase: Type.Enum(['Preparing', 'Aligning', 'Training', 'Aggregating', 'Evaluating', 'Finished']),
  /** Round under way, from 1; 0 before the first. */
  round: count,
  /** Last round that was finished; 0: none. */
  finishedRounds: count,
  rounds: count,
  /** Of the round under way, or of the last. */
  clients: Type.Object({ selected: count, reported: count, dropped: count, refused: count }),
  /** Results refused since the job began, by reason. */
  refusals: Type.Partial(Type.Record(Type.Enum([...REFUSAL_REASONS]), count)),
  alignmentLoss: orNull(Type.Number()),
  localLoss: orNull(Type.Number()),
  /** Round after which it was made, and its scores. */
  evaluation: orNull(Type.Object({ round: count, base: Score, adapEmu: Score, adapFu: Score })),
  /** Of the finished rounds; null before the first, or when rounds are among them whose cost was not measured. */
  cost: orNull(RunCost),
  /** SHA-256 (hex) of the finished adapter; null until then. */
  adapterSha256: orNull(Type.String({ pattern: '^[0-9a-f]{64}$' })),
});

export type JobProgress = Static<typeof JobProgress>;
