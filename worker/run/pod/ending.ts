import { TokenRefused } from '../../bundle/fetch.ts';
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

/** The pod stopped because it was told to, and the job can go on from here. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

export interface Ending {
  readonly code: (typeof EXIT)[keyof typeof EXIT];
  readonly termination: TerminationMessage;
}

/**
 * What an error that ended a role means for the job.
 * @param signal what told the pod to stop, if it has
 */
export function endingOf(thrown: unknown, signal: AbortSignal): Ending {
  const error = systemFailure(thrown);
  const end = (code: Ending['code'], reason: TerminationMessage['reason'], message = wordsOf(error)): Ending => ({
    code,
    termination: { reason, message },
  });
  // The job goes on in the other pod: this one's end must not count against it.
  if (error instanceof Fenced || error instanceof FolderLost) return end(EXIT.interrupted, 'Interrupted');
  if (error instanceof Interrupted) return end(EXIT.interrupted, 'Interrupted');
  if (isReasonOf(signal, error)) return end(EXIT.interrupted, 'Interrupted', 'told to stop');
  if (error instanceof Diverged) return end(EXIT.invalid, 'NotFinite');
  // federation.maxRoundRetries says how often to try: another pod would try as often again.
  if (error instanceof QuorumNotReached) return end(EXIT.invalid, 'QuorumNotReached');
  if (error instanceof RedisUnreachable) return end(EXIT.unavailable, 'RedisUnusable');
  if (error instanceof TokenRefused) return end(EXIT.unavailable, 'TokenRefused');
  if (error instanceof RedisUnusable) return end(EXIT.invalid, 'RedisUnusable');
  if (error instanceof SystemFailure) return end(error.passes ? EXIT.failed : EXIT.invalid, REASON_OF[error.shortage]);
  if (error instanceof UserError) return end(EXIT.invalid, 'InvalidInput');
  return end(EXIT.failed, 'InternalError');
}

const REASON_OF: Readonly<Record<Shortage, TerminationMessage['reason']>> = {
  path: 'InvalidInput',
  full: 'StorageFull',
  memory: 'OutOfMemory',
  process: 'SystemFailure',
  passing: 'SystemFailure',
};

/** Node's own functions throw an AbortError of theirs. */
function isReasonOf({ aborted, reason }: AbortSignal, error: unknown): boolean {
  return aborted && (error === reason || (error instanceof Error && error.name === 'AbortError'));
}

function wordsOf(error: unknown): string {
  if (error instanceof UserError) return error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
  return errorMessage(error);
}

/** A termination message as the kubelet takes it: what is too long is cut, between two characters. */
export function terminationText({ reason, message }: TerminationMessage): string {
  // No character takes less than a byte.
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
