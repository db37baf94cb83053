import { UserError } from '../../crds/facts/user-error.ts';
import type { Conversation } from '../tokenizer/chat-template.ts';

/** The origin of a record and all of its fields, because a partition may use any of them. */
export interface RecordOrigin {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A record as it is in the file. */
export interface ReadRecord extends RecordOrigin {
  /**
   * Its fields, with a WrittenNumber for each number that Python writes differently from JavaScript; absent if there is
   * none.
   */
  readonly written?: () => Readonly<Record<string, unknown>>;
}

/** A record of a data file, independent of the file's format. */
export type DataRecord = InstructionRecord | ChatRecord | TokenizedRecord;

export interface InstructionRecord extends RecordOrigin {
  readonly kind: 'instruction';
  readonly instruction: string;
  /** Context of the instruction; '' if there is none. */
  readonly input: string;
  readonly response: string;
  /** All responses that are accepted as correct. */
  readonly acceptedAnswers: readonly string[];
}

export interface ChatRecord extends RecordOrigin {
  readonly kind: 'chat';
  readonly conversation: Conversation;
  /**
   * Indices of the messages to learn, ascending and at least one: turns of the assistant that follow another message.
   */
  readonly targets: readonly number[];
}

export interface TokenizedRecord extends RecordOrigin {
  readonly kind: 'tokenized';
  readonly inputIds: readonly number[];
  /** One label per id: the id itself if it carries loss, otherwise -100. */
  readonly labels: readonly number[];
}

/** The error for a record that cannot be used, with its file and line. */
export function recordError(at: { file: string; line: number }, what: string, hint?: string): UserError {
  return new UserError(`${at.file}:${at.line}: ${what}`, hint === undefined ? {} : { hint });
}

/** The fields that everything derived from a record keeps. */
export function originOf({ file, line, fields }: RecordOrigin): RecordOrigin {
  return { file, line, fields };
}

/** Joins two parts of a text; an empty part leaves no separator. */
export function withContext(first: string, separator: string, second: string): string {
  return first === '' || second === '' ? first + second : first + separator + second;
}
