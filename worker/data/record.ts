import { UserError } from '../../crds/facts/user-error.ts';
import type { Conversation } from '../tokenizer/chat-template.ts';

/** Where a record stands, and all it says: a partition may split by any of its fields. */
export interface RecordOrigin {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A record as its file has it. */
export interface ReadRecord extends RecordOrigin {
  /**
   * Its fields, with a WrittenNumber for each number that JavaScript writes otherwise than Python; absent where there
   * is none.
   */
  readonly written?: () => Readonly<Record<string, unknown>>;
}

/** One record of a data file, whatever its format was. */
export type DataRecord = InstructionRecord | ChatRecord | TokenizedRecord;

export interface InstructionRecord extends RecordOrigin {
  readonly kind: 'instruction';
  readonly instruction: string;
  /** Context of the instruction; '' when there is none. */
  readonly input: string;
  readonly response: string;
  /** Every response that counts as right. */
  readonly acceptedAnswers: readonly string[];
}

export interface ChatRecord extends RecordOrigin {
  readonly kind: 'chat';
  readonly conversation: Conversation;
  /** Which messages are to be learned: turns of the assistant that follow another message, ascending, at least one. */
  readonly targets: readonly number[];
}

export interface TokenizedRecord extends RecordOrigin {
  readonly kind: 'tokenized';
  readonly inputIds: readonly number[];
  /** As many as ids: the id itself where it carries loss, else -100. */
  readonly labels: readonly number[];
}

/** The error for a record that cannot be used, with its file and line. */
export function recordError(at: { file: string; line: number }, what: string, hint?: string): UserError {
  return new UserError(`${at.file}:${at.line}: ${what}`, hint === undefined ? {} : { hint });
}

/** The part of a record that goes with everything made of it. */
export function originOf({ file, line, fields }: RecordOrigin): RecordOrigin {
  return { file, line, fields };
}

/** Two parts of a text; one that is empty leaves no separator. */
export function withContext(first: string, separator: string, second: string): string {
  return first === '' || second === '' ? first + second : first + separator + second;
}
