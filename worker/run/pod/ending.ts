import { TokenRefused } from '../../bundle/fetch.ts';
import { inClusterWords } from './cluster-words.ts';
import { EXIT } from '../../../crds/facts/exit-codes.ts';
import { MAX_TERMINATION_BYTES } from '../../../crds/facts/termination-message.ts';
import type { TerminationMessage } from '../../../crds/facts/termination-message.ts';
import { errorMessage, UserError } from '../../../crds/facts/user-error.ts';
import { SystemFailure, systemFailure } from '../../files/system-failure.ts';
import type { Shortage } from '../../files/system-failure.ts';
import { Diverged } from '../../federation/diverged.ts';
import { FolderLost } from '../../files/folder-lock.ts';
import { QuorumNotReached } from '../../federation/state.ts';
import { RedisUnreachable, RedisUnusable } from '../../transport/redis/unusable.ts';
import { Fenced } from '../../transport/redis/fence.ts';

/** The pod was told to stop, and the job can continue from this point. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

export interface Ending {
  readonly code: (typeof EXIT)[keyof typeof EXIT];
  readonly termination: TerminationMessage;
}

/**
 * Maps the error that ended a role to an exit code and a termination message.
 * @param signal aborted if the pod was told to stop
 */
export function endingOf(thrown: unknown, signal: AbortSignal): Ending {
  const error = systemFailure(thrown);
  const end = (code: Ending['code'], reason: TerminationMessage['reason'], message = messageOf(error)): Ending => ({
    code,
    termination: { reason, message },
  });
  // The job continues in the other pod: the exit of this one must not count as a failure.
  if (error instanceof Fenced || error instanceof FolderLost) return end(EXIT.interrupted, 'Interrupted');
  if (error instanceof Interrupted) return end(EXIT.interrupted, 'Interrupted');
  if (isReasonOf(signal, error)) return end(EXIT.interrupted, 'Interrupted', 'told to stop');
  if (error instanceof Diverged) return end(EXIT.invalid, 'NotFinite');
  // Another pod would repeat all retries of federation.maxRoundRetries.
  if (error instanceof QuorumNotReached) return end(EXIT.invalid, 'QuorumNotReached');
  if (error instanceof RedisUnreachable) return end(EXIT.unavailable, 'RedisUnusable');
  if (error instanceof TokenRefused) return end(EXIT.unavailable, 'TokenRefused');
  if (error instanceof RedisUnusable) return end(EXIT.invalid, 'RedisUnusable');
  if (error instanceof SystemFailure) return end(error.exitCode, REASON_OF[error.shortage]);
  if (error instanceof UserError) return end(EXIT.invalid, 'InvalidInput');
  return end(EXIT.failed, 'InternalError');
}

const REASON_OF: Readonly<Record<Shortage, TerminationMessage['reason']>> = {
  path: 'InvalidInput',
  full: 'StorageFull',
  memory: 'OutOfMemory',
  machineMemory: 'OutOfMemory',
  gpuMemory: 'OutOfMemory',
  process: 'SystemFailure',
  passing: 'SystemFailure',
};

/** Functions of Node throw their own AbortError. */
function isReasonOf({ aborted, reason }: AbortSignal, error: unknown): boolean {
  return aborted && (error === reason || (error instanceof Error && error.name === 'AbortError'));
}

function messageOf(error: unknown): string {
  if (!(error instanceof UserError)) return errorMessage(error);
  return error.hint === undefined ? error.message : `${error.message}. ${inClusterWords(error.hint)}`;
}

/**
 * A termination message within the kubelet's size limit. A message that is too long is truncated between two
 * characters.
 */
export function terminationText({ reason, message }: TerminationMessage): string {
  // A character takes at least one byte.
  const characters = Array.from(message.slice(0, MAX_TERMINATION_BYTES).toWellFormed());
  const textOf = (length: number) => {
    const isWhole = length === characters.length && message.length <= MAX_TERMINATION_BYTES;
    return JSON.stringify({
      reason,
      message: isWhole ? message.toWellFormed() : `${characters.slice(0, length).join('')}…`,
    });
  };
  let [fits, tooLong] = [0, characters.length + 1];
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2);
    if (Buffer.byteLength(textOf(middle)) <= MAX_TERMINATION_BYTES) fits = middle;
    else tooLong = middle;
  }
  return textOf(fits);
}
