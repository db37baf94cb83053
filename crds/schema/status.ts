import Type from 'typebox';
import type { RefusalReason } from '../facts/refusal.ts';
import { choice, integer, list, map, number, object, string } from '../json-schema/fields.ts';

const counts = { minimum: 0, maximum: 1_000_000_000 } as const;

const time = (description: string) => string(description, { format: 'date-time', maxLength: 64 });

const Condition = object('One aspect of the job’s state, in the form Kubernetes tools wait on.', {
  type: string('Name of the aspect.', { minLength: 1, maxLength: 316 }),
  status: choice('Whether it holds.', ['True', 'False', 'Unknown']),
  reason: string('Why, in one CamelCase word.', { minLength: 1 }),
  message: string('Why, in a sentence.', { maxLength: 32_768 }),
  lastTransitionTime: time('When the status last changed.'),
  observedGeneration: Type.Optional(integer('metadata.generation this was derived from.', { minimum: 0 })),
});

const score = (model: string) =>
  Type.Optional(
    object(`Score of ${model}.`, {
      accuracy: Type.Optional(
        number('Fraction in [0, 1] right by the task’s measure; absent for task loss.', { minimum: 0, maximum: 1 }),
      ),
      f1: Type.Optional(
        number('Mean word overlap in [0, 1] with the best accepted answer; absent for a task without partial credit.', {
          minimum: 0,
          maximum: 1,
        }),
      ),
      loss: Type.Optional(number('Mean negative log-likelihood over all labelled tokens, in nats.')),
      headline: Type.Optional(
        string('The accuracy in percent, or the loss where there is none: what `kubectl get` shows.'),
      ),
    }),
  );

const amount = { minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;

const role = (whose: string) =>
  Type.Optional(
    object(`What ${whose} used.`, {
      cpuSeconds: Type.Optional(number('Processor time.', { minimum: 0 })),
      gpuSeconds: Type.Optional(number('Time of computations on a GPU, times GPUs.', { minimum: 0 })),
      tokens: Type.Optional(integer('Tokens trained on.', amount)),
      peakMemoryBytes: Type.Optional(
        integer('Peak resident size of the largest compute process and the process that leads it.', amount),
      ),
    }),
  );

const saving = (description: string) =>
  Type.Optional(
    object(description, {
      here: Type.Optional(number('In this job.', { minimum: 0 })),
      fullModel: Type.Optional(number('With the full model sent to the clients and trained there.', { minimum: 0 })),
      saved: Type.Optional(number('The difference; negative where the full model would have cost less.')),
    }),
  );

export const RefusalCount = integer('Number of results.', counts);

/**
 * What the operator tells about a job. Nothing in it is the user's to set. What of it the server pod tells is checked
 * by these very schemas when it is read (crds/facts/progress.ts), so that whatever is told can be written.
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
  activity: Type.Optional(
    choice('What the server pod is doing.', [
      'Preparing',
      'Aligning',
      'Training',
      'Aggregating',
      'Evaluating',
      'Finished',
    ]),
  ),
  lastProgressTime: Type.Optional(time('When the server pod last told of its progress.')),
  restarts: Type.Optional(integer('Times the server pod was replaced, for whatever reason but a suspension.', counts)),
  round: Type.Optional(integer('Last finished round, from 1; 0 = none yet.', counts)),
  rounds: Type.Optional(integer('Rounds in all.', counts)),
  roundText: Type.Optional(string('round/rounds: what `kubectl get` shows.', { maxLength: 64 })),
  alignmentLoss: Type.Optional(number('Mean loss of the last alignment.')),
  localLoss: Type.Optional(number('Mean loss of the clients of the last finished round, in nats.')),
  clients: Type.Optional(
    object('What the clients of the round under way do, or those of the last did.', {
      selected: Type.Optional(integer('Clients drawn.', counts)),
      reported: Type.Optional(integer('Clients whose result was aggregated.', counts)),
      dropped: Type.Optional(integer('Clients that did not report in time.', counts)),
      refused: Type.Optional(integer('Clients whose result was invalid.', counts)),
    }),
  ),
  clientsText: Type.Optional(string('reported/selected: what `kubectl get` shows.', { maxLength: 64 })),
  refusals: Type.Optional(
    // The keys are ours to write: the static type names them, the schema leaves room for more.
    Type.Unsafe<Partial<Record<RefusalReason, number>>>(
      map('Results refused since the job began, by reason.', RefusalCount, { maxProperties: 64 }),
    ),
  ),
  evaluation: Type.Optional(
    object('The last evaluation.', {
      round: Type.Optional(integer('Round after which it was made.', counts)),
      base: score('the full model as it was given'),
      adapEmu: score('emulator + adapter: what a client has'),
      adapFu: score('full model + adapter: what the server gains'),
    }),
  ),
  cost: Type.Optional(
    object('What the finished rounds have cost, and what was saved against the full model.', {
      server: role('the server'),
      clients: role('the clients, together,'),
      bytes: Type.Optional(
        object('Bytes between the server and all clients.', {
          bundle: Type.Optional(integer('The emulator, once to each client.', amount)),
          down: Type.Optional(integer('Round packages, to clients.', amount)),
          up: Type.Optional(integer('Results, from clients.', amount)),
        }),
      ),
      savings: Type.Optional(
        object('Against the full model on the clients.', {
          bytes: saving('Bytes between the server and all clients.'),
          flops: saving('Floating-point operations of training and alignment, by formula.'),
        }),
      ),
    }),
  ),
  adapterSha256: Type.Optional(
    string('SHA-256 (hex) of the finished adapter_model.safetensors.', { maxLength: 64, pattern: '^[0-9a-f]{64}$' }),
  ),
});
