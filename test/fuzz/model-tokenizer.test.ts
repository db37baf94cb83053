import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { loadTokenizer } from '../../worker/tokenizer/tokenizer.ts';
import { fuzz } from './harness.ts';
import { mutatedJson } from './mutations.ts';

const fixtures = fileURLToPath(new URL('../fixtures/tokenizers/', import.meta.url));
const TEXTS = ['', ' a text <|end|> of 12 words\n\n', '\ufeff\u0085é漢\u{1f600}<unk>', 'a'.repeat(2000)];

const files = {
  'tokenizer_config.json': {
    eos_token: '<|end|>',
    bos_token: '<|begin|>',
    added_tokens_decoder: { 1: { content: '<|end|>', lstrip: false, special: true } },
    extra_special_tokens: ['<x>'],
  },
  'special_tokens_map.json': { eos_token: { content: '<|end|>', lstrip: false, rstrip: false }, pad_token: '<|end|>' },
  'generation_config.json': {
    bos_token_id: 1,
    eos_token_id: [1, 3],
    do_sample: true,
    repetition_penalty: 1.1,
    temperature: 0.7,
    suppress_tokens: null,
  },
};

t.test('tokenizer.json: ids of its vocabulary, or a refusal', async (t) => {
  for (const family of ['gpt2', 'llama2', 'llama3', 'mistral', 'prefix-space', 'metaspace-split', 'digits']) {
    const dir = t.testdir({});
    cpSync(join(fixtures, family), dir, { recursive: true });
    const right = JSON.parse(readFileSync(join(dir, 'tokenizer.json'), 'utf8'));
    // In a vocabulary of hundreds, most random paths would end in the same place.
    await fuzz(t, {
      name: `tokenizer.json of ${family}`,
      inputs: mutatedJson(withFew(right)),
      runs: 150,
      limitCpuMs: 5000,
      attempt: (text) => encodeAll(dir, 'tokenizer.json', text),
    });
  }
});

t.test('the files beside it: the same', async (t) => {
  for (const [name, right] of Object.entries(files)) {
    const dir = t.testdir({});
    cpSync(join(fixtures, 'gpt2'), dir, { recursive: true });
    await fuzz(t, { name, inputs: mutatedJson(right), runs: 300, attempt: (text) => encodeAll(dir, name, text) });
  }
});

async function encodeAll(dir: string, name: string, content: string): Promise<void> {
  writeFileSync(join(dir, name), content, 'latin1');
  const tokenizer = await loadTokenizer(dir, { vocabSize: 5_000_000 });
  for (const text of TEXTS) {
    const ids = tokenizer.encode(text);
    if (!ids.every((id) => Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize))
      throw new Error(`the ids ${ids.join()} of ${JSON.stringify(text)}`);
    tokenizer.decode(ids, { skipSpecial: true });
  }
}

/** A tokenizer with few merges and tokens: single characters, bytes, merged pieces and named tokens. */
function withFew(json: {
  model: { vocab: Record<string, number>; merges: (string | [string, string])[] };
  added_tokens: { content: string }[];
}): object {
  const merges = json.model.merges.slice(0, 12);
  const made = new Set(
    merges.flatMap((merge) => {
      const [a, b] = typeof merge === 'string' ? merge.split(' ') : merge;
      return [a, b, `${a}${b}`];
    }),
  );
  const added = new Set(json.added_tokens.map(({ content }) => content));
  const vocab = Object.entries(json.model.vocab).filter(
    ([token]) => made.has(token) || added.has(token) || /^[a-h ▁Ġ]$/.test(token),
  );
  return { ...json, model: { ...json.model, merges, vocab: Object.fromEntries(vocab) } };
}
