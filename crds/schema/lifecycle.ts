import Type from 'typebox';
import { boolean, integer, string } from '../json-schema/fields.ts';

const seconds = { maximum: 2_147_483_647 } as const;

/** Fields of the spec that say when the job runs on a cluster, in the words of Kubernetes' own Job. */
export const lifecycle = {
  suspend: boolean(
    'Whether the job’s pods are taken away, after a checkpoint, to go on from there when it is false again. Queues such as Kueue admit ' +
      'a job by it. `fedbiot run` passes it over, as it does all that concerns pods.',
    { default: false },
  ),
  managedBy: Type.Optional(
    string(
      'Who carries the job out; without it, the FedBiOT operator, which leaves a job with any value alone. Kueue’s for jobs sent to ' +
        'another cluster is kueue.x-k8s.io/multikueue.',
      {
        maxLength: 63,
        pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/[A-Za-z0-9/._~%!$&'()*+,;=:-]+$",
      },
    ),
  ),
  ttlSecondsAfterFinished: Type.Optional(
    integer('Seconds after its end when the job is deleted, with all it made; without it, never.', {
      minimum: 0,
      ...seconds,
    }),
  ),
  activeDeadlineSeconds: Type.Optional(
    integer(
      'Seconds from its start after which an unfinished job fails; as on a Job, a suspension sets the start anew. Without it, never.',
      {
        minimum: 1,
        ...seconds,
      },
    ),
  ),
  startDeadlineSeconds: Type.Optional(
    integer(
      'Seconds after which the job fails when its pods have not started: no node fits, an image is missing, …. Without it, never.',
      {
        minimum: 1,
        ...seconds,
      },
    ),
  ),
  backoffLimit: integer('Failed pods of a role after which the job fails; pods lost to a disruption do not count.', {
    default: 6,
    minimum: 0,
    ...seconds,
  }),
};

/** Fields of the spec that can change while the job runs. */
export const MUTABLE: readonly string[] = ['suspend', 'ttlSecondsAfterFinished', 'activeDeadlineSeconds'];
