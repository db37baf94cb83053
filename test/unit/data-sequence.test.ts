// Token sequences of examples: the tokens that carry loss, and truncation.
import t from 'tap';
import { encodeExamples, encodePrompt, sequenceOf } from '../../worker/data/sequence.ts';
import { applyTemplate } from '../../worker/data/template.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import type { Tokenizer } from '../../worker/tokenizer/tokenizer.ts';
import { chat, family, gpt2, recordsOf, textOf } from '../support/templated-text.ts';

const llama3 = await family('llama3');

/** The text of the labelled tokens, one entry per run of adjacent tokens. */
const labelledText = (labels: Int32Array, tokenizer: Tokenizer) => {
  const runs: number[][] = [];
  labels.forEach((label, at) => {
    if (label < 0) return;
    if (at > 0 && labels[at - 1]! >= 0) runs.at(-1)!.push(label);
    else runs.push([label]);
  });
  return runs.map((run) => tokenizer.decode(run));
};

t.test('where no token spans the end of the prompt, the tokens are those of the whole text', async (t) => {
  for (const [name, tokenizer] of [
    ['gpt2', gpt2],
    ['llama3, which begins a text with a token', llama3],
  ] as const) {
    const example = textOf(
      applyTemplate(recordsOf({ question: 'How many?', answer: 'Täglich 3 🙂\n#### 3' }), 'Alpaca', tokenizer),
    );
    const { sequences, kept, cutAway, truncated } = encodeExamples([example], tokenizer, 4096);
    const [sequence] = sequences;
    const whole = tokenizer.encode(example.prompt + example.completion);
    const masked = tokenizer.encode(example.prompt).length;
    t.same([...sequence!.inputIds], whole, name);
    t.same(
      [...sequence!.labels],
      whole.map((id, at) => (at < masked ? -100 : id)),
    );
    t.equal(sequence!.labels.at(-1), tokenizer.eosTokenId, 'the end of sequence is learnt');
    t.same({ kept, cutAway, truncated }, { kept: [0], cutAway: 0, truncated: 0 });
    t.same(encodePrompt(example, tokenizer), whole.slice(0, masked));
  }
});

/** Tokenizers that merge characters across the end of a prompt, or add a space before every text. */
const families = [
  'gpt2',
  'llama2',
  'llama3',
  'mistral',
  'qwen2',
  'smollm2',
  'prefix-space',
  'metaspace-split',
  'digits',
];

for (const name of families) {
  t.test(
    `${name}: every token of a response is learned, and generation starts from what stands before it in training`,
    async (t) => {
      const tokenizer = await family(name);
      const pairs = [
        ['th', 'e quick brown fox'],
        ['Say it:', '-7'],
        ['So:', '://x'],
        ['a ', 'b'],
        ['12', '34'],
        ['x', '\ny'],
        ['', 'yes'],
        ['end\n', '\nyes'],
      ] as const;
      let spanned = 0;
      for (const [instruction, output] of pairs) {
        const example = textOf(applyTemplate(recordsOf({ instruction, output }), 'None', tokenizer));
        const [sequence] = encodeExamples([example], tokenizer, 99).sequences;
        const [ids, labels] = [[...(sequence?.inputIds ?? [])], [...(sequence?.labels ?? [])]];
        const prompt = encodePrompt(example, tokenizer);
        t.same(prompt, tokenizer.encode(instruction), 'generation starts from the tokens of the prompt alone');
        t.same(ids.slice(0, prompt.length), prompt, 'as does training');
        t.same(
          labels,
          ids.map((id, at) => (at < prompt.length ? -100 : id)),
          'all that follows is learned, and nothing else',
        );
        const whole = tokenizer.encode(example.prompt + example.completion);
        if (String(whole.slice(0, prompt.length)) !== String(prompt)) spanned++;
        t.equal(
          tokenizer.decode(ids),
          tokenizer.decode(whole),
          `the text is the same: ${JSON.stringify(instruction + output)}`,
        );
      }
      t.comment(`a token spanned the end of ${spanned} of ${pairs.length} prompts`);
    },
  );
}

t.test('no token spans the beginning or the end of an earlier response either', async (t) => {
  const tight: Tokenizer = {
    ...chat,
    applyChatTemplate: ({ messages }) => messages.map(({ content }) => `${content}t`).join(''),
  };
  const conversation = recordsOf({
    messages: [
      ['user', 'q'],
      ['assistant', 'he'],
      ['user', 'h'],
      ['assistant', 'he quick'],
    ].map(([role, content]) => ({ role, content })),
  });
  const [sequence] = encodeExamples(applyTemplate(conversation, 'Chat', tight), tight, 99).sequences;
  t.equal(tight.decode(sequence?.inputIds ?? []), ['qt', 'het', 'ht', 'he quickt'].join(''));
  t.same(labelledText(sequence?.labels ?? new Int32Array(), tight), ['het', 'he quickt']);
  t.not(
    String([...(sequence?.inputIds ?? [])]),
    String(tight.encode(['qt', 'het', 'ht', 'he quickt'].join(''))),
    'tokens of the whole text span the borders',
  );
});

t.test('turns of weight 0 are read and carry no loss', async (t) => {
  const turn = (role: string, content: string, weight?: number) => ({
    role,
    content,
    ...(weight === undefined ? {} : { weight }),
  });
  const labelled = (...messages: object[]) => {
    const { sequences } = encodeExamples(applyTemplate(recordsOf({ messages }), 'Chat', chat), chat, 999);
    return { text: chat.decode(sequences[0]!.inputIds), learned: labelledText(sequences[0]!.labels, chat) };
  };
  t.same(
    labelled(turn('user', 'one'), turn('assistant', 'nine', 0), turn('user', 'three'), turn('assistant', 'four', 1)),
    {
      text: '[user]one;[assistant]nine;[user]three;[assistant]four;',
      learned: ['four;'],
    },
  );
  t.same(labelled(turn('user', 'one'), turn('assistant', 'two'), turn('user', 'three'), turn('assistant', 'nine', 0)), {
    text: '[user]one;[assistant]two;',
    learned: ['two;'],
  });
  t.throws(() => labelled(turn('user', 'one'), turn('assistant', 'nine', 0)), {
    constructor: UserError,
    message: /every response has weight 0/,
  });
  t.throws(() => labelled(turn('user', 'one'), turn('assistant', 'nine', 0.5)), {
    constructor: UserError,
    message: /'messages\[1\]\.weight' is 0\.5, not 0 or 1/,
  });
});

t.test('every turn of the assistant carries loss, unless the template rewrites it', async (t) => {
  const conversation = recordsOf({
    messages: ['user', 'assistant', 'user', 'assistant', 'user'].map((role, i) => ({ role, content: `${role}${i}` })),
  });
  const examples = applyTemplate(conversation, 'Chat', chat);
  const { sequences } = encodeExamples(examples, chat, 999);
  t.equal(
    chat.decode(sequences[0]!.inputIds),
    '[user]user0;[assistant]assistant1;[user]user2;[assistant]assistant3;',
    'ends with the last response',
  );
  t.same(labelledText(sequences[0]!.labels, chat), ['assistant1;', 'assistant3;']);
  t.same(textOf(examples).response, 'assistant3');

  // Templates of reasoning models do this with the thoughts of turns before the last question.
  const forgetful: Tokenizer = {
    ...chat,
    applyChatTemplate: ({ messages }, { addGenerationPrompt }) => {
      const question = messages.findLastIndex(({ role }) => role === 'user');
      const turns = messages.map(
        ({ role, content }, at) => `[${role}]${role === 'assistant' && at < question ? '…' : content};`,
      );
      return turns.join('') + (addGenerationPrompt ? '[assistant]' : '');
    },
  };
  const seen = encodeExamples(applyTemplate(conversation, 'Chat', forgetful), forgetful, 999).sequences[0]!;
  t.equal(forgetful.decode(seen.inputIds), '[user]user0;[assistant]…;[user]user2;[assistant]assistant3;');
  t.same(labelledText(seen.labels, forgetful), ['assistant3;']);
});

t.test('responses within the sequence length: kept, truncated, or dropped and counted', async (t) => {
  const examples = applyTemplate(
    recordsOf(
      { instruction: 'x'.repeat(50), output: 'y' },
      { instruction: 'x', output: 'y'.repeat(90) },
      { instruction: 'x', output: 'y' },
    ),
    'None',
    gpt2,
  );
  const { sequences, kept, cutAway, truncated } = encodeExamples(examples, gpt2, 8);
  t.same({ kept, cutAway, truncated }, { kept: [1, 2], cutAway: 1, truncated: 1 });
  t.same(
    sequences.map(({ inputIds }) => inputIds.length <= 8),
    [true, true],
  );
  t.throws(() => encodeExamples(examples.slice(0, 1), gpt2, 8), {
    constructor: UserError,
    message: /^d\.jsonl: none of the 1 records has part of a response within 8 tokens/,
  });
});

t.test('tokenized records', async (t) => {
  const examples = applyTemplate(
    recordsOf({ input_ids: [4, 5, 6], labels: [4, -100, 6] }, { input_ids: [4, 5], labels: [4, -100] }),
    'None',
    gpt2,
  );
  const { sequences, cutAway } = encodeExamples(examples, gpt2, 8);
  t.same(sequences, [sequenceOf([4, 5, 6], [4, -100, 6])]);
  t.equal(cutAway, 1, 'a label on the first token alone is no target');
  const foreign = applyTemplate(
    recordsOf({ input_ids: [4, gpt2.vocabSize], labels: [4, gpt2.vocabSize] }),
    'None',
    gpt2,
  );
  t.throws(() => encodeExamples(foreign, gpt2, 8), {
    constructor: UserError,
    message: /^d\.jsonl:1: token id \d+ is outside the model's vocabulary/,
  });
});

t.test('a sequence is named by its ids and labels', async (t) => {
  const { id } = sequenceOf([1, 2], [-100, 2]);
  t.match(id, /^[0-9a-f]{32}$/);
  t.equal(sequenceOf([1, 2], [-100, 2]).id, id);
  t.not(sequenceOf([1, 2], [1, 2]).id, id);
  t.not(sequenceOf([1, 3], [-100, 3]).id, id);
});
