// Files of records: JSON lines, arrays, gzip, in each format.
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { readRecords } from '../../worker/data/record-file.ts';
import { interpretRecords } from '../../worker/data/record-format.ts';
import { fuzz } from './harness.ts';
import { mutatedBytes, mutatedJson } from './mutations.ts';

const formats: Readonly<Record<string, readonly object[]>> = {
  Alpaca: [
    { instruction: 'Add.', input: '1 and 2', output: '3' },
    { instruction: 'Say it.', output: 'It.' },
  ],
  Dolly: [{ instruction: 'Add.', context: '1 and 2', response: '3', category: 'sums' }],
  QuestionAnswer: [{ question: 'How much?', answers: ['3', 'three'] }],
  GSM8K: [{ question: 'How much?', answer: 'It is 3.\n#### 3' }],
  Chat: [
    {
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'How much?' },
        { role: 'assistant', content: '3' },
      ],
    },
  ],
  Tokenized: [{ input_ids: [1, 2, 3], labels: [-100, 2, 3] }],
};

for (const [name, records] of Object.entries(formats)) {
  t.test(name, async (t) => {
    const read = (file: string, content: Uint8Array) => {
      const { format, records: found } = interpretRecords(readRecords(file, Buffer.from(content)), 'Auto');
      if (found.length === 0) throw new Error(`no record of ${format}`);
    };
    const lines = fc
      .tuple(...records.map((record) => mutatedJson(record).map((text) => text.replaceAll('\n', ' '))))
      .map((texts) => Buffer.from(`${texts.join('\n')}\n`));
    await fuzz(t, { name: 'lines', inputs: lines, runs: 400, attempt: (bytes) => read('x.jsonl', bytes) });
    await fuzz(t, {
      name: 'arrays',
      inputs: mutatedJson(records),
      runs: 400,
      attempt: (text) => read('x.json', Buffer.from(text)),
    });
    const packed = gzipSync(records.map((record) => JSON.stringify(record)).join('\n'));
    await fuzz(t, {
      name: 'gzip',
      inputs: mutatedBytes(packed),
      runs: 200,
      attempt: (bytes) => read('x.jsonl.gz', bytes),
    });
  });
}
