import Type from 'typebox';
import type { Static } from 'typebox';

/** The kubelet's limit. */
export const MAX_TERMINATION_BYTES = 4096;

/** JSON in a container's termination message: how a worker pod ended. */
export const TerminationMessage = Type.Object({
  /** Becomes the reason of the job's Failed condition. */
  reason: Type.Enum([
    'Succeeded',
    'Interrupted',
    'InvalidInput',
    'QuorumNotReached',
    'NotFinite',
    'RedisUnusable',
    'TokenRefused',
    'StorageFull',
    'OutOfMemory',
    'SystemFailure',
    'InternalError',
  ]),
  message: Type.String({ maxLength: MAX_TERMINATION_BYTES }),
});

export type TerminationMessage = Static<typeof TerminationMessage>;
