// Parts of a record that a chat template does not render are refused, or counted.
import t from 'tap';
import { interpretRecords } from '../../worker/data/record-format.ts';
import { readRecords } from '../../worker/data/record-file.ts';
import { applyTemplate } from '../../worker/data/template.ts';
import type { UnusedCounts } from '../../worker/data/template.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { loadChatTemplate } from '../../worker/tokenizer/chat-template.ts';
import type { ChatMessage, Conversation } from '../../worker/tokenizer/chat-template.ts';

type Render = (conversation: Conversation) => string;

const inTemplate = (render: Render, ...records: object[]) => {
  const unused: UnusedCounts = new Map();
  const origins = records.map((fields, i) => ({ file: 'd.jsonl', line: i + 1, fields: { ...fields } }));
  const tokenizer = {
    eosToken: '<end>',
    applyChatTemplate: (conversation: Conversation, { addGenerationPrompt }: { addGenerationPrompt: boolean }) =>
      render(conversation) + (addGenerationPrompt ? '[assistant]' : ''),
  };
  const examples = applyTemplate(interpretRecords(origins, 'Chat').records, 'Chat', tokenizer, { unused });
  return { unused: Object.fromEntries(unused), examples };
};

const plain = ({ role, content }: ChatMessage) => `[${role}]${content ?? ''};`;
const plainly: Render = ({ messages }) => messages.map(plain).join('');
const withCalls: Render = ({ messages, tools = [] }) =>
  tools.map((tool) => JSON.stringify(tool)).join('') +
  messages
    .map((message) => plain(message) + (message['tool_calls'] ? JSON.stringify(message['tool_calls']) : ''))
    .join('');
const withoutThoughts: Render = ({ messages }) =>
  messages
    .map(({ role, content }) =>
      plain({ role, content: role === 'assistant' ? ((content ?? '').split('</think>').at(-1) ?? '') : content }),
    )
    .join('');

const user = { role: 'user', content: 'q' };
const answer = { role: 'assistant', content: 'r' };
const call = { role: 'assistant', content: '', tool_calls: [{ function: { name: 'add', arguments: '2,3' } }] };
const result = { role: 'tool', content: '5', tool_call_id: 'c1' };

t.test('tools and calls reach the template, and a call is learned', async (t) => {
  const { unused, examples } = inTemplate(
    withCalls,
    { messages: [user, call, result, answer], tools: [{ name: 'add' }] },
    { messages: [user, call], tools: [{ name: 'add' }] },
  );
  t.same(unused, { 'messages[].tool_call_id': 1 }, 'this template does not tell results apart');
  t.match(examples[0], {
    prompt: '{"name":"add"}[user]q;[assistant];[{"function":{"name":"add","arguments":"2,3"}}][tool]5;[assistant]',
    completion: 'r;',
  });
  t.match(examples[1], { completion: ';[{"function":{"name":"add","arguments":"2,3"}}]', acceptedAnswers: [''] });
});

t.test('a template that leaves out the turn to learn is refused, with the record and what to do', async (t) => {
  const refused = (render: Render, messages: object[], message: RegExp) =>
    t.throws(() => inTemplate(render, { messages }), {
      constructor: UserError,
      message,
      hint: /chat_template\.jinja|Alpaca/,
    });
  refused(
    plainly,
    [user, call],
    /^d\.jsonl:1: the chat template does not render messages\[\]\.tool_calls, which is part of the turn to learn/,
  );
  refused(
    withoutThoughts,
    [user, { role: 'assistant', content: '<think>two and two</think>4' }],
    /“<think>two and two<\/think>4…” is not in the text/,
  );
  refused(
    ({ messages }) => plainly({ messages: messages.slice(-1) }),
    [user, answer, user, answer],
    /differently when a response follows: "user\]q;\[assistant\]" without it/,
  );
});

t.test('what is not in the text is counted: fields, later messages, shortened turns', async (t) => {
  const named = { ...user, name: 'ann', tool_calls: null };
  const { unused } = inTemplate(
    plainly,
    { messages: [named, { ...answer, train: true }], tools: [{}], chat_template_kwargs: { enable_thinking: false } },
    { messages: [named, answer, user] },
  );
  t.same(unused, {
    tools: 1,
    'chat_template_kwargs.enable_thinking': 1,
    'messages[].name': 2,
    'messages[].train': 1,
    'messages after the last response': 1,
  });
  const thoughts = { role: 'assistant', content: '<think>so</think>a' };
  const shortened = inTemplate(withoutThoughts, { messages: [user, thoughts, user, answer] });
  t.same(shortened.unused, { 'earlier responses, which the chat template shortens': 1 });
  t.match(shortened.examples[0], { earlierCompletions: [], completion: 'r;' });
});

t.test('a template that fails without a field counts as reading it', async (t) => {
  const strict: Render = ({ messages }) =>
    messages
      .map((message) => {
        if (message.role === 'tool' && message['tool_call_id'] === undefined) throw new Error('which call?');
        return plain(message);
      })
      .join('');
  t.same(inTemplate(strict, { messages: [user, answer, result, answer] }).unused, {});
});

t.test('templates without conversations cannot represent calls', async (t) => {
  const origins = [{ file: 'd.jsonl', line: 1, fields: { messages: [user, { ...call, content: null }] } }];
  const { records } = interpretRecords(origins, 'Chat');
  const tokenizer = { eosToken: '<end>', applyChatTemplate: () => '' };
  t.throws(() => applyTemplate(records, 'Alpaca', tokenizer), {
    constructor: UserError,
    message: /^d\.jsonl:1: the template Alpaca cannot represent a tool call/,
  });
  const unused: UnusedCounts = new Map();
  applyTemplate(
    interpretRecords(
      [{ file: 'd.jsonl', line: 1, fields: { messages: [{ ...user, name: 'ann' }, answer], tools: [] } }],
      'Chat',
    ).records,
    'Alpaca',
    tokenizer,
    { unused },
  );
  t.same(Object.fromEntries(unused), { tools: 1, 'messages[].name': 1 });
});

t.test('numbers reach the template as Python reads and writes them', async (t) => {
  const numbers =
    '[1.0, 0.0, -0.0, 1e3, 2.50, 1E-7, 0.0001, 0.00001, 1e16, 123456789012345680.0, 9007199254740993, 12345678901234567890123, -0, 7, 0.1]';
  const record = `{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r", "weight": 1.0}], "tools": [{"minimum": 0.0, "default": 1.0, "of": ${numbers}}]}`;
  // The text that transformers writes for this template and these tools.
  const expected =
    '[{"minimum": 0.0, "default": 1.0, "of": [1.0, 0.0, -0.0, 1000.0, 2.5, 1e-07, 0.0001, 1e-05, 1e+16, 1.2345678901234568e+17, 9007199254740993, ' +
    '12345678901234567890123, 0, 7, 0.1]}]|1.0|no|2.0|9007199254740993|1.0x|True';
  const source =
    "{{ tools | tojson }}|{{ tools[0].default }}|{{ 'yes' if tools[0].minimum else 'no' }}|{{ tools[0].default + 1 }}|{{ tools[0].of[10] }}|" +
    "{{ tools[0].default ~ 'x' }}|{{ 'True' if tools[0].default == 1 else 'False' }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}" +
    '{% if add_generation_prompt %}[assistant]{% endif %}';
  const template = await loadChatTemplate(t.testdir({ 'chat_template.jinja': source }), {}, {});
  if (template === null) throw new Error('no template');
  const tokenizer = { eosToken: '', applyChatTemplate: template.render };
  for (const [file, content] of [
    ['d.jsonl', record],
    ['d.json', `[${record}, ${record}]`],
    ['d.json', record.replace('{', '{\n')],
  ] as const) {
    const { records } = interpretRecords(readRecords(file, Buffer.from(content)), 'Auto');
    for (const example of applyTemplate(records, 'Chat', tokenizer)) {
      t.match(example, { kind: 'text', prompt: `${expected}[user]q[assistant]`, completion: 'r' }, file);
    }
  }
  const beyond = readRecords('d.jsonl', Buffer.from(record.replace('0.0,', '1e999,')));
  t.throws(() => applyTemplate(interpretRecords(beyond, 'Auto').records, 'Chat', tokenizer), {
    constructor: UserError,
    message: /refuses the messages/,
  });
});
