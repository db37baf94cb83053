import Type from 'typebox';
import { boolean, integer, string } from '../json-schema/fields.ts';

const seconds = { maximum: 2_147_483_647 } as const;

/** Fields of the spec that decide when the job runs on a cluster; they are named as in Kubernetes' Job. */
export const lifecycle = {
  suspend: boolean(
    'Whether the job is suspended: its pods are deleted after a checkpoint, and it resumes from there when set to false. ' +
      'Ignored by `fedbiot run`, as are all fields about pods.',
    { default: false },
  ),
  managedBy: Type.Optional(
    string(
      'The controller that manages the job; if omitted, the FedBiOT operator, which ignores jobs with any value. Kueue uses ' +
        'kueue.x-k8s.io/multikueue for jobs that it dispatches to another cluster.',
      {
        maxLength: 63,
        pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/[A-Za-z0-9/._~%!$&'()*+,;=:-]+$",
      },
    ),
  ),
  ttlSecondsAfterFinished: Type.Optional(
    integer('Seconds after which a finished job is deleted, with everything it created; if omitted, never.', {
      minimum: 0,
      ...seconds,
    }),
  ),
  activeDeadlineSeconds: Type.Optional(
    integer(
      'Seconds after its start at which an unfinished job fails; as for a Job, a suspension resets the start, and so does an eviction by Kueue. If omitted, never.',
      {
        minimum: 1,
        ...seconds,
      },
    ),
  ),
  startDeadlineSeconds: Type.Optional(
    integer(
      'Seconds after which the job fails if its pods have not started: no node fits, an image is missing, …. If omitted, never.',
      {
        minimum: 1,
        ...seconds,
      },
    ),
  ),
  backoffLimit: integer(
    'Number of failed pods of a role after which the job fails; pods lost to a disruption do not count.',
    {
      default: 6,
      minimum: 0,
      ...seconds,
    },
  ),
};

/** Fields of the spec that can change while the job runs. */
export const MUTABLE: readonly string[] = ['suspend', 'ttlSecondsAfterFinished', 'activeDeadlineSeconds'];
