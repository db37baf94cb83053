import { isRecord } from '../../crds/json-schema/node.ts';
import type { ChatMessage, Conversation } from '../tokenizer/chat-template.ts';
import { originOf, recordError } from './record.ts';
import type { ChatRecord, InstructionRecord, ReadRecord, RecordOrigin, TokenizedRecord } from './record.ts';
import { WrittenNumber } from '../files/written-number.ts';

/** Alpaca and Dolly: `instruction`, an optional context, and a response. */
export function readInstruction(at: RecordOrigin, inputField: string, responseField: string): InstructionRecord {
  const instruction = textField(at, 'instruction');
  const input = at.fields[inputField] === undefined || at.fields[inputField] === null ? '' : textField(at, inputField);
  const response = textField(at, responseField);
  return { ...originOf(at), kind: 'instruction', instruction, input, response, acceptedAnswers: [response] };
}

/** GSM8K: the response is the answer as published, with its chain of thought and `#### 24`. */
export function readGsm8k(at: RecordOrigin): InstructionRecord {
  const response = textField(at, 'answer');
  return {
    ...originOf(at),
    kind: 'instruction',
    instruction: textField(at, 'question'),
    input: '',
    response,
    acceptedAnswers: [response],
  };
}

/** A question with a list of accepted answers, of which the first is learned. */
export function readQuestionAnswer(at: RecordOrigin): InstructionRecord {
  const instruction = textField(at, 'question');
  const acceptedAnswers = listField(at, 'answers').map((answer, i) => text(at, `answers[${i}]`, answer));
  const [response] = acceptedAnswers;
  if (response === undefined) {
    throw recordError(at, "the field 'answers' is empty", 'Give at least one accepted answer, or remove the record.');
  }
  return { ...originOf(at), kind: 'instruction', instruction, input: '', response, acceptedAnswers };
}

/**
 * A conversation: `messages` of {role, content, …}. At least one must be learned: a turn of the assistant that follows
 * another message and whose weight is not 0. The fields of messages, `tools`, `documents` and the content of
 * `chat_template_kwargs` are passed to the template, with numbers as Python writes them.
 */
export function readChat(record: ReadRecord): ChatRecord {
  const origin = originOf(record);
  const at = record.written === undefined ? origin : { ...origin, fields: record.written() };
  const read = listField(at, 'messages').map((message, i) => readMessage(at, `messages[${i}]`, message));
  const answers = read.flatMap(({ message: { role } }, i) => (role === 'assistant' && i > 0 ? [i] : []));
  if (answers.length === 0)
    throw recordError(at, "no message with role 'assistant' follows another, so there is no response to learn");
  const targets = answers.filter((i) => read[i]?.weight !== 0);
  if (targets.length === 0) {
    throw recordError(
      at,
      'every response has weight 0, so there is none to learn',
      'Give one of them weight 1, or remove the record.',
    );
  }
  const [tools, documents] = [optionalList(at, 'tools'), optionalList(at, 'documents')];
  const variables = at.fields['chat_template_kwargs'] ?? undefined;
  if (variables !== undefined && !isRecord(variables))
    throw wrongType(at, 'chat_template_kwargs', variables, 'an object');
  const conversation: Conversation = {
    messages: read.map(({ message }) => message),
    ...(tools === undefined ? {} : { tools }),
    ...(documents === undefined ? {} : { documents }),
    ...(variables === undefined ? {} : { variables }),
  };
  return { ...origin, kind: 'chat', conversation, targets };
}

/** @returns the message for the template, and its weight in the loss, which only turns of the assistant have */
function readMessage(at: RecordOrigin, name: string, value: unknown): { message: ChatMessage; weight: number } {
  const { role: given, content: said, ...rest } = isRecord(value) ? value : {};
  const role = text(at, `${name}.role`, given);
  // A tool call often has no content.
  const isCall = [rest['tool_calls'], rest['function_call']].some((call) => call !== undefined && call !== null);
  const content = isCall && (said === undefined || said === null) ? null : text(at, `${name}.content`, said);
  if (role !== 'assistant') return { message: { ...rest, role, content }, weight: 0 };
  const { weight: written = null, ...others } = rest;
  const weight = written instanceof WrittenNumber ? Number(written) : written;
  if (weight === null || weight === 0 || weight === 1)
    return { message: { ...others, role, content }, weight: weight ?? 1 };
  throw wrongType(at, `${name}.weight`, weight, '0 or 1');
}

function optionalList(at: RecordOrigin, name: string): readonly unknown[] | undefined {
  return at.fields[name] === undefined || at.fields[name] === null ? undefined : listField(at, name);
}

/** Token ids and labels that are used unchanged; a label of -100 carries no loss. */
export function readTokenized(at: RecordOrigin): TokenizedRecord {
  const inputIds = integers(at, 'input_ids', 0);
  const labels = integers(at, 'labels', -100);
  if (inputIds.length === 0) throw recordError(at, "the field 'input_ids' is empty");
  if (labels.length !== inputIds.length) {
    throw recordError(
      at,
      `${inputIds.length} input_ids but ${labels.length} labels`,
      'Give one label for each id: the id, or -100.',
    );
  }
  const mask = at.fields['attention_mask'];
  if (
    mask !== undefined &&
    mask !== null &&
    (!Array.isArray(mask) || mask.length !== inputIds.length || mask.some((bit) => bit !== 1))
  ) {
    throw recordError(
      at,
      "the field 'attention_mask' masks tokens",
      'Remove the padding from the records: batches are padded during training.',
    );
  }
  const odd = labels.findIndex((label, i) => label !== -100 && label !== inputIds[i]);
  if (odd < 0) return { ...originOf(at), kind: 'tokenized', inputIds, labels };
  throw recordError(
    at,
    `labels[${odd}] is ${labels[odd]}, but input_ids[${odd}] is ${inputIds[odd]}`,
    'Each label must be the id of the token at the same position, or -100; the loss shifts them.',
  );
}

function textField(at: RecordOrigin, field: string): string {
  return text(at, field, at.fields[field]);
}

function text(at: RecordOrigin, field: string, value: unknown): string {
  if (typeof value !== 'string') throw wrongType(at, field, value, 'a string');
  if (!value.isWellFormed())
    throw recordError(at, `the field '${field}' contains an unpaired surrogate, which is not a character`);
  return value;
}

function listField(at: RecordOrigin, field: string): unknown[] {
  const value = at.fields[field];
  if (Array.isArray(value)) return value;
  throw wrongType(at, field, value, 'a list');
}

function integers(at: RecordOrigin, field: string, least: number): number[] {
  return listField(at, field).map((value, i) => {
    if (typeof value === 'number' && Number.isInteger(value) && value < 2 ** 31 && (value >= 0 || value === least))
      return value;
    throw wrongType(at, `${field}[${i}]`, value, least === 0 ? 'a token id' : 'a token id or -100');
  });
}

function wrongType(at: RecordOrigin, field: string, value: unknown, expected: string) {
  if (value === undefined) return recordError(at, `the field '${field}' is missing`);
  return recordError(at, `the field '${field}' is ${describe(value)}, not ${expected}`);
}

function describe(value: unknown): string {
  if (value === null || typeof value === 'number' || value instanceof WrittenNumber) return String(value);
  return Array.isArray(value) ? 'a list' : `of type ${typeof value}`;
}
