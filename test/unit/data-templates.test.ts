// Prompt templates.
import t from 'tap';
import { alpacaPrompt, applyTemplate } from '../../worker/data/template.ts';
import type { TextExample } from '../../worker/data/example.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import type { Conversation } from '../../worker/tokenizer/chat-template.ts';
import { chat, gpt2, recordsOf, textOf } from '../support/templated-text.ts';

t.test('the Alpaca prompts, to the letter', async (t) => {
  t.equal(
    alpacaPrompt('Add.', ''),
    'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n' +
      '### Instruction:\nAdd.\n\n### Response:',
  );
  t.equal(
    alpacaPrompt('Add.', '1 2'),
    'Below is an instruction that describes a task, paired with an input that provides further context. ' +
      'Write a response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:',
  );
});

t.test('templates', async (t) => {
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'q' },
    { role: 'assistant', content: 'r' },
  ];
  const cases: [string, Record<string, unknown>, 'Alpaca' | 'Chat' | 'None', Partial<TextExample>][] = [
    [
      'question, Alpaca',
      { question: 'q', answers: ['r', 's'] },
      'Alpaca',
      {
        prompt: alpacaPrompt('q', ''),
        completion: 'r<|end|>',
        response: 'r',
        acceptedAnswers: ['r', 's'],
        addSpecialTokens: true,
      },
    ],
    [
      'conversation, Alpaca',
      { messages },
      'Alpaca',
      { prompt: alpacaPrompt('Be brief.\n\nq', ''), completion: 'r<|end|>', acceptedAnswers: ['r'] },
    ],
    [
      'instruction, None',
      { instruction: 'i', input: 'c', output: 'r' },
      'None',
      { prompt: 'i\nc', completion: 'r<|end|>' },
    ],
    [
      'instruction without context, None',
      { instruction: 'i', output: 'r' },
      'None',
      { prompt: 'i', completion: 'r<|end|>' },
    ],
    [
      'instruction, Chat',
      { instruction: 'i', input: 'c', output: 'r' },
      'Chat',
      { prompt: '[user]i\n\nc;[assistant]', completion: 'r;', addSpecialTokens: false, response: 'r' },
    ],
    [
      'question, Chat',
      { question: 'q', answers: ['r', 's'] },
      'Chat',
      { prompt: '[user]q;[assistant]', acceptedAnswers: ['r', 's'] },
    ],
    [
      'conversation, Chat',
      { messages },
      'Chat',
      { prompt: '[system]Be brief.;[user]q;[assistant]', completion: 'r;', earlierCompletions: [] },
    ],
  ];
  for (const [name, fields, template, wanted] of cases) {
    t.match(
      textOf(applyTemplate(recordsOf(fields), template, chat)),
      { kind: 'text', file: 'd.jsonl', line: 1, fields, ...wanted },
      name,
    );
  }
  const tokenized = recordsOf({ input_ids: [1, 2], labels: [-100, 2] });
  t.same(applyTemplate(tokenized, 'Alpaca', chat), tokenized, 'tokenized records stay as they are');
});

t.test('records that a template cannot represent are refused', async (t) => {
  const turns = recordsOf({
    messages: ['user', 'assistant', 'user', 'assistant'].map((role) => ({ role, content: role })),
  });
  t.throws(() => applyTemplate(turns, 'Alpaca', chat), {
    constructor: UserError,
    message: /^d\.jsonl:1: the template Alpaca cannot represent a conversation of user, assistant, user, assistant/,
  });
  t.throws(() => applyTemplate(turns, 'Chat', gpt2), { constructor: UserError, message: /has no chat template/ });
  const fickle = { ...chat, applyChatTemplate: ({ messages }: Conversation) => `${messages.length}:` };
  t.throws(() => applyTemplate(turns, 'Chat', fickle), {
    constructor: UserError,
    message: /renders the prompt differently/,
  });
});
