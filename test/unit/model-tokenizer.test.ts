import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { UserError } from '../../worker/errors.ts';
import { loadTokenizer } from '../../worker/model/tokenizer.ts';

const fixtures = fileURLToPath(new URL('../fixtures/tokenizers', import.meta.url));

interface Expected {
  texts: string[];
  families: Record<string, {
    size: number; bos: number | null; eos: number; pad: number;
    ids: number[][]; bare: number[][]; decoded: string[]; without_special: string[];
  }>;
}

/** A line separator in a test's name would end its line. */
const ascii = (text: string) => JSON.stringify(text).replace(/[^ -~]/g, (char) => `\\u{${char.charCodeAt(0).toString(16)}}`);

t.test('ids and texts equal those of transformers in every family', async (t) => {
  const { texts, families }: Expected = JSON.parse(await readFile(join(fixtures, 'expected.json'), 'utf8'));
  for (const [name, wanted] of Object.entries(families)) {
    await t.test(name, async (t) => {
      const tokenizer = await loadTokenizer(join(fixtures, name));
      t.match(tokenizer, { vocabSize: wanted.size, eosTokenId: wanted.eos, padTokenId: wanted.pad });
      t.equal(tokenizer.bosTokenId ?? null, wanted.bos);
      texts.forEach((text, i) => {
        const shown = ascii(text.slice(0, 60));
        t.same(tokenizer.encode(text), wanted.ids[i], `encode ${shown}`);
        t.same(tokenizer.encode(text, { addSpecialTokens: false }), wanted.bare[i], `encode bare ${shown}`);
        t.equal(tokenizer.decode(wanted.ids[i]!), wanted.decoded[i], `decode ${shown}`);
        t.equal(tokenizer.decode(wanted.ids[i]!, { skipSpecial: true }), wanted.without_special[i], `decode without special ${shown}`);
      });
    });
  }
});

const renderable = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";

/** A copy of a fixture with other files. */
async function variant(t: Test, files: Record<string, object | string | null>, family = 'gpt2'): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'fedbiot-tokenizer-'));
  t.teardown(() => rm(directory, { recursive: true }));
  await cp(join(fixtures, family), directory, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    if (content === null) await rm(join(directory, name));
    else await writeFile(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return directory;
}

const config = { eos_token: '<|end|>', bos_token: '<|begin|>' };

t.test('special tokens and what ends a generation', async (t) => {
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

t.test('named tokens are found in text even where tokenizer.json does not list them', async (t) => {
  const json = JSON.parse(await readFile(join(fixtures, 'gpt2/tokenizer.json'), 'utf8'));
  const tokenizer = await loadTokenizer(await variant(t, { 'tokenizer.json': { ...json, added_tokens: [] } }));
  t.same(tokenizer.encode('<|end|>'), [tokenizer.eosTokenId]);
  const listed = { 556: { content: '<tool>', special: false }, 1: { content: '<|end|>' } };
  const more = await loadTokenizer(await variant(t, { 'tokenizer_config.json': { ...config, added_tokens_decoder: listed } }));
  t.same(more.encode('<tool>'), [556]);
  t.equal(more.vocabSize, 557);
});

t.test('chat templates', async (t) => {
  const messages = [{ role: 'user', content: 'hi' }];
  const wanted = '<|user|>hi<|end|>\n<|assistant|>';
  const sources = {
    'chat_template.jinja': { 'chat_template.jinja': renderable },
    'a text in tokenizer_config.json': { 'tokenizer_config.json': { ...config, chat_template: renderable } },
    'a list in tokenizer_config.json': {
      'tokenizer_config.json': { ...config, chat_template: [{ name: 'tools', template: 'x' }, { name: 'default', template: renderable }] },
    },
  };
  for (const [name, files] of Object.entries(sources)) {
    const tokenizer = await loadTokenizer(await variant(t, files));
    t.equal(tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true }), wanted, name);
    t.ok(tokenizer.hasChatTemplate);
  }
  const none = await loadTokenizer(join(fixtures, 'gpt2'));
  t.notOk(none.hasChatTemplate);
  t.throws(() => none.applyChatTemplate(messages, { addGenerationPrompt: true }), /has no chat template/);
  const strict = await loadTokenizer(await variant(t, { 'chat_template.jinja': "{{ raise_exception('roles must alternate') }}" }));
  t.throws(() => strict.applyChatTemplate(messages, { addGenerationPrompt: true }), /refuses the messages: roles must alternate/);
  await t.rejects(loadTokenizer(await variant(t, { 'chat_template.jinja': '{% if %}' })), /cannot be parsed/);
});

t.test('what cannot be tokenised as Python does is refused', async (t) => {
  const json = JSON.parse(await readFile(join(fixtures, 'gpt2/tokenizer.json'), 'utf8'));
  const endsEveryText = {
    type: 'TemplateProcessing',
    single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '<|end|>', type_id: 0 } }],
    pair: [],
    special_tokens: { '<|end|>': { id: '<|end|>', ids: [1], tokens: ['<|end|>'] } },
  };
  const cases: [string, Record<string, object | string | null>, RegExp][] = [
    ['no tokenizer.json', { 'tokenizer.json': null }, /tokenizer\.json is missing/],
    ['not JSON', { 'tokenizer.json': '{' }, /tokenizer\.json is not JSON/],
    ['not an object', { 'tokenizer_config.json': '[]' }, /does not hold a JSON object/],
    ['lacks sections', { 'tokenizer.json': { added_tokens: json.added_tokens } }, /a model of type null/],
    ['no end of sequence', { 'tokenizer_config.json': {} }, /no end-of-sequence token/],
    ['unknown end of sequence', { 'tokenizer_config.json': { eos_token: '<nowhere>' } }, /no end-of-sequence token/],
    ['ends every text', { 'tokenizer.json': { ...json, post_processor: endsEveryText } }, /ends every text with <\|end\|>/],
    ['Unigram', { 'tokenizer.json': { ...json, model: { type: 'Unigram', vocab: [] } } }, /a model of type "Unigram"/],
    ['dropout', { 'tokenizer.json': { ...json, model: { ...json.model, dropout: 0.1 } } }, /dropout = 0\.1/],
    [
      'merging split',
      { 'tokenizer.json': { ...json, pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { String: 'x' }, behavior: 'MergedWithNext', invert: false }] } } },
      /behavior "MergedWithNext"/,
    ],
    ['single word', { 'tokenizer.json': { ...json, added_tokens: [{ content: 'x', id: 1, single_word: true }] } }, /single_word/],
  ];
  for (const [name, files, message] of cases) {
    const error = await loadTokenizer(await variant(t, files)).then(() => null, (error: unknown) => error);
    t.ok(error instanceof UserError, name);
    t.match(error instanceof Error ? error.message : '', message, name);
  }
});
