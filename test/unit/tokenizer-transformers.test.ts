// Token ids, texts and added tokens compared with transformers.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { loadTokenizer } from '../../worker/tokenizer/tokenizer.ts';
import { fixtures, variant } from '../support/tokenizer-variant.ts';

interface Expected {
  texts: string[];
  families: Record<
    string,
    {
      size: number;
      bos: number | null;
      eos: number;
      pad: number;
      ids: number[][];
      bare: number[][];
      decoded: string[];
      without_special: string[];
    }
  >;
}

/** A line separator in a test's name would end its line. */
const ascii = (text: string) =>
  JSON.stringify(text).replace(/[^ -~]/g, (char) => `\\u{${char.charCodeAt(0).toString(16)}}`);

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
        t.equal(
          tokenizer.decode(wanted.ids[i]!, { skipSpecial: true }),
          wanted.without_special[i],
          `decode without special ${shown}`,
        );
      });
    });
  }
});

interface AddedCases {
  texts: string[];
  cases: { family: string; listed?: object[]; config?: object; map?: object; ids: number[][] }[];
}

t.test('tokens are added, and take adjacent white space, as in transformers', async (t) => {
  const { texts, cases }: AddedCases = JSON.parse(await readFile(join(fixtures, 'added-tokens.json'), 'utf8'));
  for (const { family, listed = [], config = {}, map, ids } of cases) {
    const read = async (name: string) => JSON.parse(await readFile(join(fixtures, family, name), 'utf8'));
    const json = await read('tokenizer.json');
    const directory = await variant(
      t,
      {
        'tokenizer.json': { ...json, added_tokens: [...json.added_tokens, ...listed] },
        'tokenizer_config.json': { ...(await read('tokenizer_config.json')), ...config },
        ...(map && { 'special_tokens_map.json': map }),
      },
      family,
    );
    const tokenizer = await loadTokenizer(directory);
    t.same(
      texts.map((text) => tokenizer.encode(text)),
      ids,
      `${family} ${JSON.stringify({ listed, config, map })}`,
    );
  }
});
