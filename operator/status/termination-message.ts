import Type from 'typebox';
import Value from 'typebox/value';
import type { TerminationMessage } from '../../worker/cluster/pod.ts';
import { printable } from './printable.ts';

/** The kubelet's limit. */
const MAX_BYTES = 4096;

const REASONS = [
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
] as const satisfies readonly TerminationMessage['reason'][];

const Message = Type.Object({ reason: Type.Enum([...REASONS]), message: Type.String({ maxLength: MAX_BYTES }) });

/**
 * What a worker said when it ended; null when it said nothing that can be understood. What a pod says is not trusted.
 */
export function readTerminationMessage(text: string | undefined): TerminationMessage | null {
  if (text === undefined || text === '' || Buffer.byteLength(text) > MAX_BYTES) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Value.Check(Message, value)) return null;
  return { reason: value.reason, message: printable(value.message) };
}
