// Record formats: the fields that identify each, and records that are refused.
import t from 'tap';
import { readRecords } from '../../worker/data/record-file.ts';
import { interpretRecords, unreadFields } from '../../worker/data/record-format.ts';
import type { DataRecord } from '../../worker/data/record.ts';
import { unusedWarning } from '../../worker/data/template.ts';
import { UserError } from '../../crds/facts/user-error.ts';

const record = (fields: Record<string, unknown>, line = 1) => ({ file: 'f.jsonl', line, fields });

const read = (format: Parameters<typeof interpretRecords>[1], ...records: Record<string, unknown>[]) =>
  interpretRecords(
    records.map((fields, i) => record(fields, i + 1)),
    format,
  );

t.test('records under a key of one object are not taken for a record', async (t) => {
  const rows = [
    { instruction: 'i', output: 'o' },
    { instruction: 'j', output: 'p' },
  ];
  for (const content of [JSON.stringify({ data: rows }), JSON.stringify({ version: 1, data: rows }, null, 2)]) {
    for (const format of ['Auto', 'Alpaca'] as const) {
      t.throws(() => interpretRecords(readRecords('a.json', Buffer.from(content)), format), {
        name: 'UserError',
        message: /^a\.json:1: the records are nested under the key "data" of a single object$/,
        hint: /jq -c '\.data\[\]' FILE > data\.jsonl/,
      });
    }
  }
  t.throws(() => read('Auto', { 'the rows': rows }), {
    name: 'UserError',
    message: /under the key/,
    hint: /\.\["the rows"\]\[\]/,
  });
  t.throws(() => read('Auto', { data: [] }), { name: 'UserError', message: /no known format/ }, 'nothing is wrapped');
});

const told = ({ file: _file, line: _line, fields: _fields, ...rest }: DataRecord) => rest;

t.test('every format, recognised by its fields', async (t) => {
  const instruction = (instruction: string, input: string, response: string, acceptedAnswers = [response]) => ({
    kind: 'instruction',
    instruction,
    input,
    response,
    acceptedAnswers,
  });
  const messages = [
    { role: 'user', content: 'q' },
    { role: 'assistant', content: 'r' },
  ];
  const call = { role: 'assistant', tool_calls: [{ function: { name: 'add' } }] };
  const cases: [string, Record<string, unknown>, object][] = [
    ['Alpaca', { instruction: 'i', input: 'c', output: 'r', category: 'k' }, instruction('i', 'c', 'r')],
    ['Alpaca', { instruction: 'i', output: '' }, instruction('i', '', '')],
    ['Alpaca', { instruction: 'i', input: null, output: 'r' }, instruction('i', '', 'r')],
    ['Dolly', { instruction: 'i', context: 'c', response: 'r', category: 'k' }, instruction('i', 'c', 'r')],
    ['GSM8K', { question: 'q', answer: '1+1=2\n#### 2' }, instruction('q', '', '1+1=2\n#### 2')],
    ['QuestionAnswer', { id: 7, question: 'q', answers: ['r', 's'] }, instruction('q', '', 'r', ['r', 's'])],
    ['Chat', { messages }, { kind: 'chat', conversation: { messages }, targets: [1] }],
    [
      'Chat',
      {
        messages: [...messages, call, { role: 'tool', content: '5', name: 'add' }],
        tools: [{}],
        documents: null,
        chat_template_kwargs: { a: 1 },
      },
      {
        kind: 'chat',
        conversation: {
          messages: [...messages, { ...call, content: null }, { role: 'tool', content: '5', name: 'add' }],
          tools: [{}],
          variables: { a: 1 },
        },
        targets: [1, 2],
      },
    ],
    [
      'Tokenized',
      { input_ids: [1, 2, 3], labels: [-100, 2, 3] },
      { kind: 'tokenized', inputIds: [1, 2, 3], labels: [-100, 2, 3] },
    ],
  ];
  for (const [format, fields, wanted] of cases) {
    const found = read('Auto', fields);
    t.equal(found.format, format);
    t.same(found.records.map(told), [wanted], format);
    t.same(found.records[0]?.fields, fields, 'all fields are kept for partitions');
  }
  t.same(
    read('Dolly', { instruction: 'i', output: 'o', response: 'r' }).records.map(told),
    [instruction('i', '', 'r')],
    'a named format is not guessed',
  );
});

t.test('records that do not match are refused with file, line and field', async (t) => {
  const good = { instruction: 'i', output: 'o' };
  const user = { role: 'user', content: 'q' };
  const cases: [string, Parameters<typeof interpretRecords>[1], Record<string, unknown>[], RegExp][] = [
    [
      'unknown fields',
      'Auto',
      [{ prompt: 'p', text: 't' }],
      /^f\.jsonl:1: no known format has these fields: prompt, text/,
    ],
    ['no fields', 'Auto', [{}], /no known format/],
    ['missing field, later', 'Auto', [good, good, { instruction: 'i' }], /^f\.jsonl:3: the field 'output' is missing/],
    [
      'wrong type',
      'Alpaca',
      [{ instruction: 4, output: 'o' }],
      /^f\.jsonl:1: the field 'instruction' is 4, not a string/,
    ],
    ['null', 'Alpaca', [{ instruction: 'i', output: null }], /the field 'output' is null, not a string/],
    ['input of a wrong type', 'Alpaca', [{ ...good, input: ['x'] }], /the field 'input' is a list, not a string/],
    [
      'unpaired surrogate',
      'Alpaca',
      [{ instruction: 'i', output: 'x\ud83d' }],
      /the field 'output' contains an unpaired surrogate/,
    ],
    ['no answers', 'QuestionAnswer', [{ question: 'q', answers: [] }], /the field 'answers' is empty/],
    [
      'answers not a list',
      'QuestionAnswer',
      [{ question: 'q', answers: 'x' }],
      /the field 'answers' is of type string, not a list/,
    ],
    [
      'an answer that is not a string',
      'QuestionAnswer',
      [{ question: 'q', answers: ['x', {}] }],
      /the field 'answers\[1\]' is of type object, not a string/,
    ],
    ['message without role', 'Chat', [{ messages: [{ content: 'x' }] }], /the field 'messages\[0\]\.role' is missing/],
    ['message not an object', 'Chat', [{ messages: ['x'] }], /the field 'messages\[0\]\.role' is missing/],
    ['no assistant', 'Chat', [{ messages: [user, user] }], /no message with role 'assistant'/],
    [
      'assistant first only',
      'Chat',
      [{ messages: [{ role: 'assistant', content: 'x' }, user] }],
      /no message with role 'assistant'/,
    ],
    [
      'no content',
      'Chat',
      [{ messages: [user, { role: 'assistant', content: null, tool_calls: null }] }],
      /the field 'messages\[1\]\.content' is null, not a string/,
    ],
    [
      'content in parts',
      'Chat',
      [{ messages: [user, { role: 'assistant', content: [{ type: 'text', text: 'x' }] }] }],
      /'messages\[1\]\.content' is a list, not a string/,
    ],
    [
      'tools in a text',
      'Chat',
      [{ messages: [user, { role: 'assistant', content: 'x' }], tools: '[]' }],
      /the field 'tools' is of type string, not a list/,
    ],
    [
      'variables in a list',
      'Chat',
      [{ messages: [user, { role: 'assistant', content: 'x' }], chat_template_kwargs: [] }],
      /'chat_template_kwargs' is a list, not an object/,
    ],
    [
      'padding',
      'Tokenized',
      [{ input_ids: [1, 2], labels: [1, -100], attention_mask: [1, 0] }],
      /'attention_mask' masks tokens/,
    ],
    ['no ids', 'Tokenized', [{ input_ids: [], labels: [] }], /the field 'input_ids' is empty/],
    ['lengths differ', 'Tokenized', [{ input_ids: [1, 2], labels: [1] }], /2 input_ids but 1 labels/],
    ['a fraction', 'Tokenized', [{ input_ids: [1.5], labels: [1] }], /'input_ids\[0\]' is 1\.5, not a token id/],
    ['a negative id', 'Tokenized', [{ input_ids: [-100], labels: [-100] }], /'input_ids\[0\]' is -100, not a token id/],
    ['too large', 'Tokenized', [{ input_ids: [2 ** 31], labels: [1] }], /not a token id/],
    [
      'a label that is no id',
      'Tokenized',
      [{ input_ids: [1], labels: [-1] }],
      /'labels\[0\]' is -1, not a token id or -100/,
    ],
    [
      'shifted labels',
      'Tokenized',
      [{ input_ids: [1, 2, 3], labels: [2, 3, -100] }],
      /labels\[0\] is 2, but input_ids\[0\] is 1/,
    ],
  ];
  for (const [name, format, records, message] of cases) {
    t.throws(() => read(format, ...records), { constructor: UserError, message }, name);
  }
});

t.test('fields that a format does not read are counted', async (t) => {
  const counted = (format: Parameters<typeof unreadFields>[1], ...records: Record<string, unknown>[]) => [
    ...unreadFields(
      records.map((fields, i) => record(fields, i + 1)),
      format,
    ),
  ];
  t.same(
    counted(
      'Alpaca',
      { instruction: 'i', input: 'c', output: 'o', text: 't', id: 0 },
      { instruction: 'i', output: 'o', text: '', id: 1 },
    ),
    [
      ['text', 1],
      ['id', 2],
    ],
  );
  t.same(counted('Chat', { messages: [], tools: [], documents: [], chat_template_kwargs: {}, prompt: 'p' }), [
    ['prompt', 1],
  ]);
  t.same(counted('Dolly', { instruction: 'i', context: 'c', response: 'r' }), []);
  t.same(counted('Tokenized', { input_ids: [1], labels: [1], attention_mask: [1], token_type_ids: [0] }), [
    ['token_type_ids', 1],
  ]);
  t.match(
    unusedWarning(
      new Map([
        ['text', 3],
        ['id', 4],
      ]),
      4,
    ),
    'unused content of 4 records: text (in 3), id (in 4)',
  );
  t.match(
    unusedWarning(new Map(Array.from({ length: 5000 }, (_, i) => [`f${i}`, 1])), 4),
    /f11 \(in 1\), and 4988 more$/,
  );
});
