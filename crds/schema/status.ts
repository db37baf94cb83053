import Type from 'typebox';
import { JobProgress } from '../facts/progress.ts';
import { RefusalCount } from '../facts/refusal.ts';
import type { RefusalCounts } from '../facts/refusal.ts';
import { LastFigures } from '../facts/round-figures.ts';
import { choice, count, integer, list, map, object, string } from '../json-schema/fields.ts';
import type { SchemaNode } from '../json-schema/node.ts';
import { mirrored } from './mirrored.ts';

const time = (description: string) => string(description, { format: 'date-time', maxLength: 64 });

const Condition = object('One aspect of the job’s state, in the form Kubernetes tools wait on.', {
  type: string('Name of the aspect.', { minLength: 1, maxLength: 316 }),
  status: choice('Whether it holds.', ['True', 'False', 'Unknown']),
  reason: string('Why, in one CamelCase word.', { minLength: 1 }),
  message: string('Why, in a sentence.', { maxLength: 32_768 }),
  lastTransitionTime: time('When the status last changed.'),
  observedGeneration: Type.Optional(integer('metadata.generation this was derived from.', { minimum: 0 })),
});

const told = mirrored(JobProgress).properties;
const { round, base, adapEmu, adapFu } = told.evaluation.properties;

function withHeadline(score: typeof base) {
  const { description = '' }: SchemaNode = score;
  const headline = string('The accuracy in percent, or the loss where there is none: what `kubectl get` shows.');
  return Type.Optional(object(description, { ...score.properties, headline: Type.Optional(headline) }));
}

/**
 * What the operator tells about a job. Nothing in it is the user's to set. What the server pod reports of it is derived
 * from the schema that its progress must pass (crds/facts/progress.ts), so that the API server accepts it.
 */
export const Status = object('What has become of the job so far. Written by the operator.', {
  observedGeneration: Type.Optional(integer('metadata.generation this status was derived from.', { minimum: 0 })),
  phase: Type.Optional(choice('Where the job stands.', ['Pending', 'Suspended', 'Running', 'Succeeded', 'Failed'])),
  message: Type.Optional(string('Why it stands there, in a sentence.', { maxLength: 32_768 })),
  conditions: Type.Optional(
    list('Aspects of the job’s state, one a type.', Condition, { maxItems: 32, mapKeys: ['type'] }),
  ),
  startTime: Type.Optional(
    time(
      'When the operator took the job up, or took it up again after a suspension: what spec.activeDeadlineSeconds counts from.',
    ),
  ),
  completionTime: Type.Optional(time('When the job succeeded or failed.')),
  activity: told.phase,
  lastProgressTime: Type.Optional(time('When the server pod last told of its progress.')),
  restarts: Type.Optional(count('Times the server pod was replaced, for whatever reason but a suspension.')),
  round: told.finishedRounds,
  rounds: told.rounds,
  roundText: Type.Optional(string('round/rounds: what `kubectl get` shows.', { maxLength: 64 })),
  ...mirrored(LastFigures).properties,
  clients: told.clients,
  clientsText: Type.Optional(string('reported/selected: what `kubectl get` shows.', { maxLength: 64 })),
  refusals: Type.Optional(
    // The keys are ours to write: the static type names them, the schema leaves room for more.
    Type.Unsafe<RefusalCounts>(
      map('Results refused since the job began, by reason.', RefusalCount, { maxProperties: 64 }),
    ),
  ),
  evaluation: Type.Optional(
    object('The last evaluation.', {
      round,
      base: withHeadline(base),
      adapEmu: withHeadline(adapEmu),
      adapFu: withHeadline(adapFu),
    }),
  ),
  cost: told.cost,
  adapterSha256: told.adapterSha256,
});
