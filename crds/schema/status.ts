import Type from 'typebox';
import { JobProgress } from '../facts/progress.ts';
import { RefusalCount } from '../facts/refusal.ts';
import type { RefusalCounts } from '../facts/refusal.ts';
import { LastFigures } from '../facts/round-figures.ts';
import { choice, count, integer, list, map, object, string } from '../json-schema/fields.ts';
import type { SchemaNode } from '../json-schema/node.ts';
import { mirrored } from './mirrored.ts';

const time = (description: string) => string(description, { format: 'date-time', maxLength: 64 });

const Condition = object('A condition of the job.', {
  type: string('Type of the condition.', { minLength: 1, maxLength: 316 }),
  status: choice('Status of the condition: True, False or Unknown.', ['True', 'False', 'Unknown']),
  reason: string('Reason for the status, in one CamelCase word.', { minLength: 1 }),
  message: string('Explanation of the status, in a sentence.', { maxLength: 32_768 }),
  lastTransitionTime: time('When the status last changed.'),
  observedGeneration: Type.Optional(
    integer('The metadata.generation that the condition was derived from.', { minimum: 0 }),
  ),
});

const reported = mirrored(JobProgress).properties;
const { round, base, adapEmu, adapFu } = reported.evaluation.properties;

function withHeadline(score: typeof base) {
  const { description = '' }: SchemaNode = score;
  const headline = string('Accuracy in percent, or the loss for a task without accuracy, as `kubectl get` shows it.');
  return Type.Optional(object(description, { ...score.properties, headline: Type.Optional(headline) }));
}

/**
 * What the operator reports about a job. Users set nothing in it. What the server pod reports of it is derived
 * from the schema that its progress must pass (crds/facts/progress.ts), so that the API server accepts it.
 */
export const Status = object('Observed state of the job. Written by the operator.', {
  observedGeneration: Type.Optional(
    integer('The metadata.generation that the status was derived from; -1 before the operator has seen the job.', {
      minimum: -1,
    }),
  ),
  phase: Type.Optional(choice('Phase of the job.', ['Pending', 'Suspended', 'Running', 'Succeeded', 'Failed'])),
  message: Type.Optional(string('Why the job is in this phase, in a sentence.', { maxLength: 32_768 })),
  conditions: Type.Optional(
    list('Conditions of the job, one per type.', Condition, { maxItems: 32, mapKeys: ['type'] }),
  ),
  startTime: Type.Optional(
    time(
      'When the operator started the job, Kueue admitted it, or it resumed after a suspension: spec.activeDeadlineSeconds counts from here.',
    ),
  ),
  completionTime: Type.Optional(time('When the job succeeded or failed.')),
  activity: reported.phase,
  lastProgressTime: Type.Optional(time('When the server pod last reported progress.')),
  restarts: Type.Optional(
    count(
      'How often the server pod failed and was replaced. What does not count against spec.backoffLimit, such as an eviction, does not count here.',
    ),
  ),
  clientPods: Type.Optional(
    object('Client pods of a job that has not ended.', {
      ready: count('Client pods that are ready, or have finished.'),
      wanted: count('Client pods that the job asks for.'),
    }),
  ),
  clientPodsText: Type.Optional(string('ready/wanted client pods, as `kubectl get` shows them.', { maxLength: 64 })),
  round: reported.finishedRounds,
  rounds: reported.rounds,
  roundText: Type.Optional(string('round/rounds, as `kubectl get` shows it.', { maxLength: 64 })),
  ...mirrored(LastFigures).properties,
  clients: reported.clients,
  clientsText: Type.Optional(string('reported/selected, as `kubectl get` shows it.', { maxLength: 64 })),
  refusals: Type.Optional(
    // The static type names the keys that this version writes; the schema allows those of later versions.
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
  cost: reported.cost,
  memory: reported.memory,
  adapterSha256: reported.adapterSha256,
});
