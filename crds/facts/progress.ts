import Type from 'typebox';
import type { Static } from 'typebox';
import { RefusalCount, Status } from '../schema/status.ts';
import { REFUSAL_REASONS } from './refusal.ts';

const orNull = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** The fields of the status, all required: progress must fit what the API server accepts. */
const status = Type.Required(Status).properties;
const evaluation = Type.Required(status.evaluation).properties;
const cost = Type.Required(status.cost).properties;
const savings = Type.Required(cost.savings).properties;

const { accuracy, f1, loss } = Type.Required(evaluation.base).properties;
/** Older pods tell no F1, and most tasks have none. */
const Score = Type.Object({ accuracy: orNull(accuracy), f1: Type.Optional(f1), loss });

const RunCost = Type.Object({
  server: Type.Required(cost.server),
  clients: Type.Required(cost.clients),
  bytes: Type.Required(cost.bytes),
  savings: Type.Object({ bytes: Type.Required(savings.bytes), flops: Type.Required(savings.flops) }),
});

/** A time with a year of four digits and without a leap second, which the API server accepts. */
const TIME =
  '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?Z$';

/**
 * Where a job stands, as its server pod tells it through Redis and the operator mirrors it to the job's status. The
 * operator checks it against this schema before use, as data from Redis is not trusted. It does not identify its
 * writer: Redis holds the progress of the newest server pod, as writes are fenced there, and an identity in the message
 * could be forged.
 */
export const JobProgress = Type.Object({
  /** ISO 8601, UTC. */
  at: Type.String({ maxLength: 64, pattern: TIME }),
  phase: status.activity,
  /** Round under way, from 1; 0 before the first. */
  round: status.round,
  /** Last round that was finished; 0: none. */
  finishedRounds: status.round,
  rounds: status.rounds,
  /** Of the round under way, or of the last. */
  clients: Type.Required(status.clients),
  /** Results refused since the job began, by reason. */
  refusals: Type.Partial(Type.Record(Type.Enum([...REFUSAL_REASONS]), RefusalCount)),
  alignmentLoss: orNull(status.alignmentLoss),
  localLoss: orNull(status.localLoss),
  /** Round after which it was made, and its scores. */
  evaluation: orNull(Type.Object({ round: evaluation.round, base: Score, adapEmu: Score, adapFu: Score })),
  /** Of the finished rounds; null before the first, or when rounds are among them whose cost was not measured. */
  cost: orNull(RunCost),
  adapterSha256: orNull(status.adapterSha256),
});

export type JobProgress = Static<typeof JobProgress>;
