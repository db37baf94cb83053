import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { readRecords } from '../../worker/data/record-file.ts';
import { alpacaPrompt } from '../../worker/data/template.ts';
import { loadTokenizer } from '../../worker/tokenizer/tokenizer.ts';

const model = process.env['FEDBIOT_TEST_MODEL'];
const data = process.env['FEDBIOT_TEST_DATA'];
const missing = [
  ...(model ? [] : ['FEDBIOT_TEST_MODEL (a SmolLM2-135M directory)']),
  ...(data ? [] : ['FEDBIOT_TEST_DATA (the folder of data files)']),
];
const skip = missing.length > 0 && `NOT CHECKED, that token ids equal Python's: set ${missing.join(' and ')}`;

/** The texts that test/oracle/token_ids.py hashes, in the same order. */
function* texts(fields: Readonly<Record<string, unknown>>, eos: string): Generator<string> {
  for (const value of Object.values(fields)) for (const text of [value].flat()) yield String(text);
  const { instruction, question, input, output, answer, answers } = fields;
  if (instruction === undefined && question === undefined) return;
  const prompt = alpacaPrompt(String(instruction ?? question), String(input ?? ''));
  yield prompt;
  yield prompt + String(output ?? (Array.isArray(answers) ? answers[0] : answer)) + eos;
}

t.test("token ids equal Python's on every record of the data folder", { skip }, async (t) => {
  const expected: Record<string, { texts: number; ids: number; sha256: string }> = JSON.parse(
    await readFile(new URL('../fixtures/token-ids.json', import.meta.url), 'utf8'),
  );
  const tokenizer = await loadTokenizer(model!);
  for (const [name, wanted] of Object.entries(expected)) {
    const found = { texts: 0, ids: 0 };
    const digest = createHash('sha256');
    for (const { fields } of readRecords(name, await readFile(join(data!, name)))) {
      for (const text of texts(fields, tokenizer.eosToken)) {
        const ids = tokenizer.encode(text);
        digest.update(Uint32Array.of(...ids, 0xffffffff));
        found.texts++;
        found.ids += ids.length;
      }
    }
    t.same({ ...found, sha256: digest.digest('hex') }, wanted, name);
  }
});
