import type { DataSource } from '../../crds/types.ts';
import type { ChatMessage } from '../model/chat-template.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { type ChatRecord, type DataRecord, type InstructionRecord, recordError, type RecordOrigin } from './record.ts';

/** A record as text or as token ids, ready to be encoded. */
export type Example = TextExample | TokenizedExample;

export interface TextExample extends RecordOrigin {
  readonly kind: 'text';
  /** What a model is given, in training and in evaluation. */
  readonly prompt: string;
  /** What follows the prompt in training, to the mark that ends the turn. */
  readonly completion: string;
  /** Parts of the prompt that carry loss, too: the assistant's earlier turns. Positions in `prompt`, ascending. */
  readonly earlierCompletions: readonly { readonly start: number; readonly end: number }[];
  /** Whether the tokenizer puts its special tokens around the text; a chat template has written them already. */
  readonly addSpecialTokens: boolean;
  /** The response alone, as a task compares with. */
  readonly response: string;
  readonly acceptedAnswers: readonly string[];
}

export interface TokenizedExample extends RecordOrigin {
  readonly kind: 'tokenized';
  readonly inputIds: readonly number[];
  readonly labels: readonly number[];
}

const task = 'Write a response that appropriately completes the request.';

/** The Alpaca prompt; the response follows at once. */
export function alpacaPrompt(instruction: string, input: string): string {
  return input === ''
    ? `Below is an instruction that describes a task. ${task}\n\n### Instruction:\n${instruction}\n\n### Response:`
    : `Below is an instruction that describes a task, paired with an input that provides further context. ${task}` +
        `\n\n### Instruction:\n${instruction}\n\n### Input:\n${input}\n\n### Response:`;
}

/** Puts records into a prompt template. A tokenized record stays as it is. Throws UserError for one the template cannot hold. */
export function applyTemplate(
  records: readonly DataRecord[],
  template: DataSource['template'],
  tokenizer: Pick<Tokenizer, 'eosToken' | 'applyChatTemplate'>,
): Example[] {
  return records.map((record) => {
    if (record.kind === 'tokenized') return record;
    if (template === 'Chat') return chatExample(record, tokenizer);
    const { instruction, input, response, acceptedAnswers } = record.kind === 'chat' ? singleExchange(record, template) : record;
    return {
      ...originOf(record),
      kind: 'text',
      prompt: template === 'Alpaca' ? alpacaPrompt(instruction, input) : withContext(instruction, '\n', input),
      completion: response + tokenizer.eosToken,
      earlierCompletions: [],
      addSpecialTokens: true,
      response,
      acceptedAnswers,
    };
  });
}

/** A conversation of one question and one answer as an instruction; a system message goes before the question. */
function singleExchange(
  record: ChatRecord,
  template: string,
): Pick<InstructionRecord, 'instruction' | 'input' | 'response' | 'acceptedAnswers'> {
  const roles = record.messages.map(({ role }) => role).join(', ');
  const [response, user, system] = record.messages.toReversed();
  if ((roles === 'user, assistant' || roles === 'system, user, assistant') && user && response) {
    const instruction = withContext(system?.content ?? '', '\n\n', user.content);
    return { instruction, input: '', response: response.content, acceptedAnswers: [response.content] };
  }
  throw recordError(record, `the template ${template} has no place for a conversation of ${roles}`, 'Set the template to Chat.');
}

/**
 * The conversation in the model's chat template. Training text ends with the assistant's last turn, and each of its turns carries
 * loss, from the template's opening of the turn to what the template closes it with.
 */
function chatExample(record: ChatRecord | InstructionRecord, tokenizer: Pick<Tokenizer, 'applyChatTemplate'>): TextExample {
  const messages = record.kind === 'chat' ? record.messages : instructionMessages(record);
  const render = (count: number, addGenerationPrompt: boolean) =>
    tokenizer.applyChatTemplate(messages.slice(0, count), { addGenerationPrompt });
  const turns = messages.flatMap(({ role }, at) => (role === 'assistant' && at > 0 ? [at] : []));
  const last = turns.pop() ?? messages.length - 1;
  const text = render(last + 1, false);
  const prompt = render(last, true);
  if (!text.startsWith(prompt)) {
    throw recordError(record, 'the chat template writes the prompt of a response otherwise than before the response itself');
  }
  // A template may shorten earlier turns (thoughts, say): such a turn stands in the text in another form and carries no loss.
  const earlierCompletions = turns
    .map((at) => ({ before: render(at, true), through: render(at + 1, false) }))
    .filter(({ before, through }) => through.startsWith(before) && prompt.startsWith(through))
    .map(({ before, through }) => ({ start: before.length, end: through.length }));
  const response = messages[last]?.content ?? '';
  return {
    ...originOf(record),
    kind: 'text',
    prompt,
    completion: text.slice(prompt.length),
    earlierCompletions,
    addSpecialTokens: false,
    response,
    acceptedAnswers: record.kind === 'chat' ? [response] : record.acceptedAnswers,
  };
}

function instructionMessages({ instruction, input, response }: InstructionRecord): ChatMessage[] {
  return [
    { role: 'user', content: withContext(instruction, '\n\n', input) },
    { role: 'assistant', content: response },
  ];
}

function withContext(first: string, separator: string, second: string): string {
  return first === '' || second === '' ? first + second : first + separator + second;
}

function originOf({ file, line, fields }: RecordOrigin): RecordOrigin {
  return { file, line, fields };
}
