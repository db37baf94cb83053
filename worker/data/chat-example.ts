import type { ChatMessage, Conversation } from '../tokenizer/chat-template.ts';
import { originOf, recordError, withContext } from './record.ts';
import type { ChatRecord, InstructionRecord } from './record.ts';
import type { TextExample } from './example.ts';

type Render = (conversation: Conversation, addGenerationPrompt: boolean) => string;

/** Fields of a turn that are learned in addition to its content. */
const CALLS = ['messages[].tool_calls', 'messages[].function_call'];

const OTHER_TEMPLATE =
  'Change the records, add a chat_template.jinja that renders them completely to the model directory, or set data.*.template to Alpaca.';

/**
 * Renders a conversation with the model's chat template. The training text ends with the last turn to learn. Every turn
 * to learn carries loss, from the token that opens it to the one that closes it.
 * @param count is called with the name of each part of the record that the text does not contain
 * @throws UserError if the text does not contain the last turn as it is in the record
 */
export function chatExample(
  record: ChatRecord | InstructionRecord,
  render: Render,
  count: (name: string) => void,
): TextExample {
  const { conversation, targets } = record.kind === 'chat' ? record : asConversation(record);
  const { messages } = conversation;
  const upTo = (end: number, addGenerationPrompt: boolean, of = conversation) =>
    render({ ...of, messages: of.messages.slice(0, end) }, addGenerationPrompt);
  const turns = [...targets];
  const last = turns.pop() ?? messages.length - 1;
  const text = upTo(last + 1, false);
  const prompt = upTo(last, true);
  if (!text.isWellFormed())
    throw recordError(record, 'the text contains an unpaired surrogate, which is not a character');
  if (!text.startsWith(prompt)) throw promptDiffers(record, prompt, text);
  const completion = text.slice(prompt.length);
  if (!says(completion, messages[last])) {
    const lost = `${(messages[last]?.content ?? '').trim().slice(0, 40)}…`;
    throw recordError(
      record,
      `the chat template changes the turn to learn: “${lost}” is not in the text`,
      OTHER_TEMPLATE,
    );
  }
  for (const name of extraFields(conversation)) {
    if (!isUnused(text, () => upTo(last + 1, false, without(conversation, name)))) continue;
    const isTarget = CALLS.includes(name) && targets.some((at) => messages[at]?.[name.slice('messages[].'.length)]);
    if (isTarget)
      throw recordError(
        record,
        `the chat template does not render ${name}, which is part of the turn to learn`,
        OTHER_TEMPLATE,
      );
    count(name);
  }
  if (last + 1 < messages.length) count('messages after the last response');
  // A template may shorten earlier turns, for example remove thoughts. Such a turn differs from the record and carries
  // no loss.
  const spans = turns.flatMap((at) => {
    const [before, through] = [upTo(at, true), upTo(at + 1, false)];
    const isWhole =
      through.startsWith(before) && prompt.startsWith(through) && says(through.slice(before.length), messages[at]);
    return isWhole ? [{ start: before.length, end: through.length }] : [];
  });
  if (spans.length < turns.length) count('earlier responses, which the chat template shortens');
  const content = messages[last]?.content ?? null;
  return {
    ...originOf(record),
    kind: 'text',
    prompt,
    completion,
    earlierCompletions: spans,
    addSpecialTokens: false,
    response: content ?? '',
    acceptedAnswers: record.kind === 'instruction' ? record.acceptedAnswers : content === null ? [] : [content],
  };
}

/** Names of all parts of a conversation except roles and contents. */
export function extraFields({ messages, tools, documents, variables }: Conversation): string[] {
  // In some data files, a field that only other records have is null.
  const isPresent = ([, value]: [string, unknown]) => value !== null && value !== undefined;
  const fields = new Set(
    messages.flatMap((message) =>
      Object.entries(message)
        .filter(isPresent)
        .map(([name]) => name),
    ),
  );
  fields.delete('role');
  fields.delete('content');
  return [
    ...(tools === undefined ? [] : ['tools']),
    ...(documents === undefined ? [] : ['documents']),
    ...Object.keys(variables ?? {}).map((name) => `chat_template_kwargs.${name}`),
    ...[...fields].map((name) => `messages[].${name}`),
  ];
}

function without({ messages, tools, documents, variables = {} }: Conversation, name: string): Conversation {
  const lacks = (key: string) => key !== name;
  return {
    ...(tools !== undefined && lacks('tools') ? { tools } : {}),
    ...(documents !== undefined && lacks('documents') ? { documents } : {}),
    variables: Object.fromEntries(Object.entries(variables).filter(([key]) => lacks(`chat_template_kwargs.${key}`))),
    messages: messages.map(({ role, content, ...rest }) => ({
      ...Object.fromEntries(Object.entries(rest).filter(([key]) => lacks(`messages[].${key}`))),
      role,
      content,
    })),
  };
}

function isUnused(text: string, renderWithout: () => string): boolean {
  try {
    return renderWithout() === text;
  } catch {
    // If rendering fails without the field, the template uses it.
    return false;
  }
}

/** Templates trim the contents. */
function says(text: string, message: ChatMessage | undefined): boolean {
  return text.includes((message?.content ?? '').trim());
}

function promptDiffers(record: ChatRecord | InstructionRecord, prompt: string, text: string) {
  let same = 0;
  while (same < prompt.length && prompt[same] === text[same]) same++;
  const shown = (part: string) => JSON.stringify(part.slice(same, same + 30));
  return recordError(
    record,
    `the chat template renders the prompt differently when a response follows: ${shown(prompt)} without it, ${shown(text)} with it`,
    OTHER_TEMPLATE,
  );
}

function asConversation({
  instruction,
  input,
  response,
}: InstructionRecord): Pick<ChatRecord, 'conversation' | 'targets'> {
  const messages = [
    { role: 'user', content: withContext(instruction, '\n\n', input) },
    { role: 'assistant', content: response },
  ];
  return { conversation: { messages }, targets: [1] };
}
