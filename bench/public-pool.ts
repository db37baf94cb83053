import { writeFileSync } from 'node:fs';
import { encodeExamples } from '../worker/data/sequence.ts';
import { loadData } from '../worker/data/source.ts';
import { applyTemplate } from '../worker/data/template.ts';
import { loadTokenizer } from '../worker/tokenizer/tokenizer.ts';
import { randomStream } from '../worker/random.ts';

/**
 * Copies random records whose response fits into the sequence length, as a pool that is small enough to be
 * visited often.
 */
export async function writePublicPool(
  from: string,
  to: string,
  options: { model: string; records: number; sequenceLength: number },
): Promise<void> {
  const tokenizer = await loadTokenizer(options.model);
  const { records } = await loadData({ uri: from, format: 'Auto' }, '.');
  const drawn = randomStream(0, 'public pool')
    .shuffle(records)
    .slice(0, 4 * options.records);
  const { kept } = encodeExamples(applyTemplate(drawn, 'Alpaca', tokenizer), tokenizer, options.sequenceLength);
  if (kept.length < options.records) throw new Error(`${from} has too few records`);
  writeFileSync(
    to,
    kept
      .slice(0, options.records)
      .map((index) => `${JSON.stringify(drawn[index]!.fields)}\n`)
      .join(''),
  );
}
