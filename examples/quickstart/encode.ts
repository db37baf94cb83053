import { interpretRecords } from '../../worker/data/record-format.ts';
import { encodeExamples } from '../../worker/data/sequence.ts';
import type { Sequence } from '../../worker/data/sequence.ts';
import { applyTemplate } from '../../worker/data/template.ts';
import type { Tokenizer } from '../../worker/tokenizer/tokenizer.ts';
import type { TaskRecord } from './tasks.ts';

/** More than the tokens of the longest record. */
const SEQUENCE_LENGTH = 64;

/** Records as `fedbiot run` would train on them: in the Alpaca prompt, with loss on the response. */
export function encodeRecords(records: readonly TaskRecord[], tokenizer: Tokenizer): readonly Sequence[] {
  const origins = records.map((record, i) => ({ file: 'tasks', line: i + 1, fields: { ...record } }));
  const examples = applyTemplate(interpretRecords(origins, 'Alpaca').records, 'Alpaca', tokenizer);
  return encodeExamples(examples, tokenizer, SEQUENCE_LENGTH).sequences;
}
