// Special tokens, ids that end a generation, chat templates, and tokenizers that are refused.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { loadTokenizer } from '../../worker/tokenizer/tokenizer.ts';
import { fixtures, variant } from '../support/tokenizer-variant.ts';

const RENDERABLE =
  "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";

const config = { eos_token: '<|end|>', bos_token: '<|begin|>' };

t.test('special tokens, and the tokens that end a generation', async (t) => {
  const directory = await variant(t, {
    'tokenizer_config.json': { bos_token: null },
    'special_tokens_map.json': { eos_token: { content: '<|end|>' } },
    'generation_config.json': { eos_token_id: [7, 1, 3] },
  });
  const tokenizer = await loadTokenizer(directory);
  t.equal(tokenizer.eosToken, '<|end|>');
  t.same(tokenizer.stopTokenIds, [1, 3, 7]);
  t.equal(tokenizer.padTokenId, undefined);
  t.equal(tokenizer.bosTokenId, undefined);
  t.equal(tokenizer.decode([]), '');
  t.equal(tokenizer.decode(Int32Array.of(99_999)), '', 'an id of the padded embedding has no text');
});

t.test(
  'what generation_config.json says of a greedy continuation is told, as it is not done; how to sample is not',
  async (t) => {
    // As in Qwen2.5-0.5B-Instruct.
    const qwen = {
      bos_token_id: 1,
      pad_token_id: 1,
      do_sample: true,
      eos_token_id: [1, 3],
      repetition_penalty: 1.1,
      temperature: 0.7,
      top_p: 0.8,
      top_k: 20,
    };
    const penalised = await loadTokenizer(
      await variant(t, { 'generation_config.json': { ...qwen, transformers_version: '4.37.0' } }),
    );
    t.same(penalised.stopTokenIds, [1, 3]);
    t.match(penalised.generationWarnings, [
      /generation_config\.json: repetition_penalty 1\.1: ignored, because an evaluation/,
    ]);
    const sampled = await loadTokenizer(
      await variant(t, {
        'generation_config.json': { ...qwen, repetition_penalty: 1, num_beams: 1, suppress_tokens: null },
      }),
    );
    t.same(sampled.generationWarnings, []);
    await t.rejects(loadTokenizer(await variant(t, { 'generation_config.json': { magic: 7 } })), {
      name: 'UserError',
      message: /the field magic \(7\) is not known/,
    });
  },
);

t.test('without generation_config.json, config.json names the tokens that end a text', async (t) => {
  t.same((await loadTokenizer(await variant(t, { 'config.json': { eos_token_id: [4, 1] } }))).stopTokenIds, [1, 4]);
  await t.rejects(loadTokenizer(await variant(t, { 'config.json': { eos_token_id: -1 } })), {
    name: 'UserError',
    message: /config\.json: eos_token_id -1 is neither a token id/,
  });
});

t.test('a token without a row in the embedding is refused in a text, and not before', async (t) => {
  const json = JSON.parse(await readFile(join(fixtures, 'gpt2/tokenizer.json'), 'utf8'));
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
  const directory = await variant(t, {
    'tokenizer.json': { ...json, added_tokens: [...json.added_tokens, { id: 556, content: '<tool>', ...flags }] },
  });
  const tokenizer = await loadTokenizer(directory, { vocabSize: 556 });
  t.equal(tokenizer.vocabSize, 556);
  t.ok(tokenizer.encode('a text').length > 0);
  t.throws(() => tokenizer.encode('a <tool>'), {
    name: 'UserError',
    message: /the token "<tool>" of id 556, but the embedding has only 556 rows$/,
  });
  await t.rejects(
    loadTokenizer(directory, { vocabSize: 1 }),
    { name: 'UserError', message: /the embedding has only 1 rows/ },
    'the end of sequence',
  );
});

t.test('named tokens are found in text even where tokenizer.json does not list them', async (t) => {
  const json = JSON.parse(await readFile(join(fixtures, 'gpt2/tokenizer.json'), 'utf8'));
  const tokenizer = await loadTokenizer(await variant(t, { 'tokenizer.json': { ...json, added_tokens: [] } }));
  t.same(tokenizer.encode('<|end|>'), [tokenizer.eosTokenId]);
  const listed = { 556: { content: '<tool>', special: false }, 1: { content: '<|end|>' } };
  const more = await loadTokenizer(
    await variant(t, { 'tokenizer_config.json': { ...config, added_tokens_decoder: listed } }),
  );
  t.same(more.encode('<tool>'), [556]);
  t.equal(more.vocabSize, 557);
});

t.test('chat templates', async (t) => {
  const hi = { messages: [{ role: 'user', content: 'hi' }] };
  const asked = { addGenerationPrompt: true, date: null };
  const wanted = '<|user|>hi<|end|>\n<|assistant|>';
  const sources = {
    'chat_template.jinja': { 'chat_template.jinja': RENDERABLE },
    'a text in tokenizer_config.json': { 'tokenizer_config.json': { ...config, chat_template: RENDERABLE } },
    'a list in tokenizer_config.json': {
      'tokenizer_config.json': {
        ...config,
        chat_template: [
          { name: 'tools', template: 'x' },
          { name: 'default', template: RENDERABLE },
        ],
      },
    },
  };
  for (const [name, files] of Object.entries(sources)) {
    const tokenizer = await loadTokenizer(await variant(t, files));
    t.equal(tokenizer.applyChatTemplate(hi, asked), wanted, name);
    t.ok(tokenizer.hasChatTemplate);
  }
  const none = await loadTokenizer(join(fixtures, 'gpt2'));
  t.notOk(none.hasChatTemplate);
  t.throws(() => none.applyChatTemplate(hi, asked), /has no chat template/);
  const strict = await loadTokenizer(
    await variant(t, { 'chat_template.jinja': "{{ raise_exception('roles must alternate') }}" }),
  );
  t.throws(() => strict.applyChatTemplate(hi, asked), /refuses the messages: roles must alternate/);
  await t.rejects(loadTokenizer(await variant(t, { 'chat_template.jinja': '{% if %}' })), /cannot be parsed/);
});

t.test('a tokenizer that cannot give Python’s tokens is refused', async (t) => {
  const json = JSON.parse(await readFile(join(fixtures, 'gpt2/tokenizer.json'), 'utf8'));
  const endsEveryText = {
    type: 'TemplateProcessing',
    single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '<|end|>', type_id: 0 } }],
    pair: [],
    special_tokens: { '<|end|>': { id: '<|end|>', ids: [1], tokens: ['<|end|>'] } },
  };
  const token = {
    id: 556,
    content: '<x>',
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: false,
  };
  const withToken = (change: object) => ({ ...json, added_tokens: [{ ...token, ...change }] });
  const withModel = (change: object) => ({ ...json, model: { ...json.model, ...change } });
  const nested = (depth: number): object => {
    let rule: object = { type: 'Digits' };
    for (let i = 0; i < depth; i++) rule = { type: 'Sequence', pretokenizers: [rule] };
    return rule;
  };
  const cases: [string, Record<string, object | string | null>, RegExp][] = [
    ['no tokenizer.json', { 'tokenizer.json': null }, /tokenizer\.json is missing/],
    ['not JSON', { 'tokenizer.json': '{' }, /tokenizer\.json is not JSON/],
    ['not an object', { 'tokenizer_config.json': '[]' }, /does not hold a JSON object/],
    ['lacks sections', { 'tokenizer.json': { added_tokens: json.added_tokens } }, /a model of type null/],
    ['no end of sequence', { 'tokenizer_config.json': {} }, /no end-of-sequence token/],
    ['unknown end of sequence', { 'tokenizer_config.json': { eos_token: '<nowhere>' } }, /no end-of-sequence token/],
    [
      'ends every text',
      { 'tokenizer.json': { ...json, post_processor: endsEveryText } },
      /ends every text with <\|end\|>/,
    ],
    ['Unigram', { 'tokenizer.json': { ...json, model: { type: 'Unigram', vocab: [] } } }, /a model of type "Unigram"/],
    ['dropout', { 'tokenizer.json': { ...json, model: { ...json.model, dropout: 0.1 } } }, /dropout = 0\.1/],
    [
      'merging split',
      {
        'tokenizer.json': {
          ...json,
          pre_tokenizer: {
            type: 'Sequence',
            pretokenizers: [{ type: 'Split', pattern: { String: 'x' }, behavior: 'MergedWithNext', invert: false }],
          },
        },
      },
      /behavior "MergedWithNext"/,
    ],
    [
      'an id that is no integer',
      { 'tokenizer.json': withToken({ id: 1.5 }) },
      /added token "<x>" with the id 1\.5, which is not an integer/,
    ],
    ['a negative id', { 'tokenizer.json': withToken({ id: -1 }) }, /with the id -1/],
    ['an id that is text', { 'tokenizer.json': withToken({ id: '7' }) }, /with the id "7"/],
    ['no id', { 'tokenizer.json': withToken({ id: null }) }, /with the id null/],
    ['an id of 1e8', { 'tokenizer.json': withToken({ id: 1e8 }) }, /with the id 100000000/],
    ['a flag that is text', { 'tokenizer.json': withToken({ lstrip: 'no' }) }, /with lstrip "no"/],
    ['no content', { 'tokenizer.json': withToken({ content: '' }) }, /content "", which is not text/],
    [
      'a token of the vocabulary with the id 1e8',
      { 'tokenizer.json': withModel({ vocab: { ...json.model.vocab, zz: 1e8 } }) },
      /token "zz" with the id 100000000/,
    ],
    [
      'with a fraction',
      { 'tokenizer.json': withModel({ vocab: { ...json.model.vocab, zz: 700.5 } }) },
      /token "zz" with the id 700\.5/,
    ],
    [
      'two tokens with one id',
      { 'tokenizer.json': withModel({ vocab: { ...json.model.vocab, zz: 7 } }) },
      /two tokens with the id 7/,
    ],
    [
      'a merge of no tokens',
      { 'tokenizer.json': withModel({ merges: ['zzz a'] }) },
      /merge "zzz a" \(number 1\) with "zzz", which is not a token/,
    ],
    [
      'a merge of three',
      { 'tokenizer.json': withModel({ merges: ['a b c'] }) },
      /merge "a b c" \(number 1\), which is not a pair/,
    ],
    ['a merge that is a number', { 'tokenizer.json': withModel({ merges: [7] }) }, /merge 7/],
    [
      'an option of another library',
      { 'tokenizer.json': withModel({ continuing_subword_suffix: '##' }) },
      /continuing_subword_suffix = "##"/,
    ],
    ['an unknown section', { 'tokenizer.json': { ...json, magic: { on: true } } }, /the section magic = \{"on":true\}/],
    [
      'an unknown normalizer',
      { 'tokenizer.json': { ...json, normalizer: { type: 'Lowercase' } } },
      /a normalizer of type "Lowercase"/,
    ],
    [
      'an unknown field of a rule',
      { 'tokenizer.json': { ...json, pre_tokenizer: { type: 'Digits', magic: 1 } } },
      /Digits with the field "magic"/,
    ],
    [
      'rules without end',
      { 'tokenizer.json': { ...json, pre_tokenizer: nested(500) } },
      /a pre_tokenizer nested more than 8 deep/,
    ],
    [
      'a decoder of another kind',
      { 'tokenizer.json': { ...json, decoder: { type: 'WordPiece' } } },
      /a decoder of type "WordPiece"/,
    ],
    [
      'a special token of another id',
      {
        'tokenizer.json': {
          ...json,
          post_processor: {
            ...endsEveryText,
            special_tokens: { '<|end|>': { id: '<|end|>', ids: [7], tokens: ['<|end|>'] } },
          },
        },
      },
      /special token "<\|end\|>" is \[7\], not its id 1/,
    ],
    [
      'special tokens that are split',
      { 'tokenizer_config.json': { ...config, split_special_tokens: true } },
      /tokenizer_config\.json: split_special_tokens true is not supported/,
    ],
    [
      'a stop that is no id',
      { 'generation_config.json': { eos_token_id: [1, 1.5] } },
      /generation_config\.json: eos_token_id \[1,1\.5\] is neither a token id/,
    ],
    [
      'a named token that is a number',
      { 'tokenizer_config.json': { ...config, pad_token: 7 } },
      /tokenizer_config\.json has pad_token 7/,
    ],
    [
      'single word',
      { 'tokenizer.json': { ...json, added_tokens: [{ content: 'x', id: 1, single_word: true }] } },
      /single_word/,
    ],
  ];
  for (const [name, files, message] of cases) {
    const error = await loadTokenizer(await variant(t, files)).then(
      () => null,
      (error: unknown) => error,
    );
    t.ok(error instanceof UserError, name);
    t.match(error instanceof Error ? error.message : '', message, name);
  }
});
