import type { DataSource } from '../../crds/types.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { chatExample, extraFields } from './chat-example.ts';
import type { Example } from './example.ts';
import { originOf, recordError, withContext } from './record.ts';
import type { ChatRecord, DataRecord, InstructionRecord } from './record.ts';

const TASK = 'Write a response that appropriately completes the request.';

/** The Alpaca prompt, which the response follows directly. */
export function alpacaPrompt(instruction: string, input: string): string {
  return input === ''
    ? `Below is an instruction that describes a task. ${TASK}\n\n### Instruction:\n${instruction}\n\n### Response:`
    : `Below is an instruction that describes a task, paired with an input that provides further context. ${TASK}` +
        `\n\n### Instruction:\n${instruction}\n\n### Input:\n${input}\n\n### Response:`;
}

/** Parts of records that the text does not contain: name → number of records. */
export type UnusedCounts = Map<string, number>;

/** Maximum number of names in the warning, as a file may have thousands of columns. */
const MAX_NAMES = 12;

/** The warning for a file of which some parts are not in the text. */
export function unusedWarning(unused: UnusedCounts, records: number): string {
  const names = [...unused].map(([name, count]) => `${name} (in ${count})`);
  const more = names.length > MAX_NAMES ? `, and ${names.length - MAX_NAMES} more` : '';
  return `unused content of ${records} records: ${names.slice(0, MAX_NAMES).join(', ')}${more}`;
}

export interface TemplateOptions {
  /** The date that a chat template uses as today, such as 2026-11-30; null: the template must not ask for it. */
  readonly date?: string | null;
  /** Counts the parts that the text does not contain. */
  readonly unused?: UnusedCounts;
}

/**
 * Renders records with a prompt template. A tokenized record is not changed.
 * @throws UserError for a record that the template cannot represent
 */
export function applyTemplate(
  records: readonly DataRecord[],
  template: DataSource['template'],
  tokenizer: Pick<Tokenizer, 'eosToken' | 'applyChatTemplate'>,
  { date = null, unused = new Map() }: TemplateOptions = {},
): Example[] {
  const count = (name: string) => void unused.set(name, (unused.get(name) ?? 0) + 1);
  return records.map((record) => {
    if (record.kind === 'tokenized') return record;
    if (template === 'Chat') {
      return chatExample(
        record,
        (conversation, addGenerationPrompt) => tokenizer.applyChatTemplate(conversation, { addGenerationPrompt, date }),
        count,
      );
    }
    if (record.kind === 'chat') for (const name of extraFields(record.conversation)) count(name);
    const { instruction, input, response, acceptedAnswers } =
      record.kind === 'chat' ? singleExchange(record, template) : record;
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

/** A conversation of one question and one answer as an instruction. A system message is put before the question. */
function singleExchange(
  record: ChatRecord,
  template: string,
): Pick<InstructionRecord, 'instruction' | 'input' | 'response' | 'acceptedAnswers'> {
  const { messages } = record.conversation;
  const roles = messages.map(({ role }) => role).join(', ');
  const [response, user, system] = messages.toReversed();
  if ((roles === 'user, assistant' || roles === 'system, user, assistant') && typeof response?.content === 'string') {
    const instruction = withContext(system?.content ?? '', '\n\n', user?.content ?? '');
    return { instruction, input: '', response: response.content, acceptedAnswers: [response.content] };
  }
  const what = response?.content === null ? 'a tool call' : `a conversation of ${roles}`;
  throw recordError(record, `the template ${template} cannot represent ${what}`, 'Set the template to Chat.');
}
