import Value from 'typebox/value';
import { MAX_TERMINATION_BYTES, TerminationMessage } from '../../crds/facts/termination-message.ts';
import { printableLines } from '../../crds/facts/printable.ts';

/** The termination message of a worker; null: none, or not a valid one. Text from a pod is not trusted. */
export function readTerminationMessage(text: string | undefined): TerminationMessage | null {
  if (text === undefined || text === '' || Buffer.byteLength(text) > MAX_TERMINATION_BYTES) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Value.Check(TerminationMessage, value)) return null;
  return { reason: value.reason, message: printableLines(value.message).trim() };
}
