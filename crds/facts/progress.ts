import Type from 'typebox';
import type { Static } from 'typebox';
import { amount, choice, count, describedAs, orNull, string } from '../json-schema/fields.ts';
import { ClientCounts } from './clients.ts';
import { RunCost } from './cost.ts';
import { Evaluation } from './evaluation.ts';
import { RefusalCounts } from './refusal.ts';
import { LastFigures } from './round-figures.ts';

/** A time that the API server accepts: a year of four digits, no leap second. */
const TIME =
  '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?Z$';

/**
 * The progress of a job, which its server pod reports through Redis and the operator mirrors to the job's status. The
 * operator checks it against this schema before use, as data from Redis is not trusted; the status schema derives
 * from it, so that the API server accepts whatever passes. It does not identify its writer: writes to Redis are fenced,
 * so it is the newest server pod's, and an identity in the message could be forged.
 */
export const JobProgress = Type.Object({
  /** ISO 8601, UTC. */
  at: Type.String({ maxLength: 64, pattern: TIME }),
  phase: choice('What the server pod is doing.', [
    'Preparing',
    'Aligning',
    'Training',
    'Aggregating',
    'Evaluating',
    'Finished',
  ]),
  round: count('Round under way, from 1; 0 before the first.'),
  finishedRounds: count('Last finished round, from 1; 0: none yet.'),
  rounds: count('Number of rounds of the job.'),
  clients: describedAs(ClientCounts, 'Clients of the current or last round, by state.'),
  /** Results refused since the job began, by reason. */
  refusals: RefusalCounts,
  ...LastFigures.properties,
  evaluation: orNull(
    describedAs(
      Type.Object({ round: count('Round after which the evaluation was made.'), ...Evaluation.properties }),
      'The last evaluation.',
    ),
  ),
  /** Null before the first round has finished, or when the cost of one of the rounds was not measured. */
  cost: orNull(describedAs(RunCost, 'Cost of the finished rounds, and savings compared with the full model.')),
  /** Optional, as pods of earlier versions do not report it. */
  memory: Type.Optional(
    describedAs(
      Type.Object({
        server: amount('Bytes that a server pod needs.'),
        client: amount('Bytes that a client pod needs.'),
      }),
      "Memory that a pod of each role needs at least, by the plan's estimate: main process and compute processes, without pages of the model's files.",
    ),
  ),
  adapterSha256: orNull(
    string('SHA-256 (hex) of the finished adapter_model.safetensors.', { maxLength: 64, pattern: '^[0-9a-f]{64}$' }),
  ),
});

export type JobProgress = Static<typeof JobProgress>;
