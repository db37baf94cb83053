import { isRecord } from '../../crds/json-schema/node.ts';
import type { DataSource } from '../../crds/types.ts';
import { readChat, readGsm8k, readInstruction, readQuestionAnswer, readTokenized } from './record-reader.ts';
import { recordError } from './record.ts';
import type { DataRecord, ReadRecord, RecordOrigin } from './record.ts';

export type KnownFormat = Exclude<DataSource['format'], 'Auto'>;

/** A record format: the fields that identify it, its optional fields, and a reader. */
interface Format {
  readonly name: KnownFormat;
  readonly fields: readonly string[];
  readonly optional?: readonly string[];
  read(at: ReadRecord): DataRecord;
}

/** In the order in which Auto tries them: it uses the first format whose fields the first record has. */
const FORMATS: readonly Format[] = [
  { name: 'Tokenized', fields: ['input_ids', 'labels'], optional: ['attention_mask'], read: readTokenized },
  { name: 'Chat', fields: ['messages'], optional: ['tools', 'documents', 'chat_template_kwargs'], read: readChat },
  {
    name: 'Alpaca',
    fields: ['instruction', 'output'],
    optional: ['input'],
    read: (at) => readInstruction(at, 'input', 'output'),
  },
  {
    name: 'Dolly',
    fields: ['instruction', 'response'],
    optional: ['context'],
    read: (at) => readInstruction(at, 'context', 'response'),
  },
  { name: 'QuestionAnswer', fields: ['question', 'answers'], read: readQuestionAnswer },
  { name: 'GSM8K', fields: ['question', 'answer'], read: readGsm8k },
];

/**
 * Reads every record in the named format, or in the one that the fields of the first record identify.
 * @throws UserError with file, line and field for the first record that does not have the format
 */
export function interpretRecords(
  origins: readonly ReadRecord[],
  name: DataSource['format'],
): { format: KnownFormat; records: DataRecord[] } {
  refuseWrapped(origins);
  const fits = (format: Format) =>
    name === 'Auto' ? format.fields.every((field) => origins[0] && field in origins[0].fields) : format.name === name;
  const format = FORMATS.find(fits);
  if (format) return { format: format.name, records: origins.map((at) => format.read(at)) };
  const choices = FORMATS.map(({ name, fields }) => `${name} (${fields.join(', ')})`).join(', ');
  throw recordError(
    origins[0] ?? { file: 'data', line: 1 },
    `no known format has these fields: ${Object.keys(origins[0]?.fields ?? {}).join(', ')}`,
    `Rename the fields to match one of these formats: ${choices}.`,
  );
}

/** Refuses a file whose only object contains the records under a key, as web services return them. */
function refuseWrapped(origins: readonly RecordOrigin[]): void {
  const [only, ...more] = origins;
  if (!only || more.length > 0 || FORMATS.some(({ fields }) => fields.every((field) => field in only.fields))) return;
  const key = Object.keys(only.fields).find((name) => {
    const value = only.fields[name];
    return Array.isArray(value) && value.length > 0 && value.every(isRecord);
  });
  if (key === undefined) return;
  const filter = /^\w+$/.test(key) ? `.${key}[]` : `.[${JSON.stringify(key)}][]`;
  throw recordError(
    only,
    `the records are nested under the key ${JSON.stringify(key)} of a single object`,
    `Extract them: jq -c '${filter}' FILE > data.jsonl.`,
  );
}

/** Fields that the format does not read, with the number of records in which they are not empty. */
export function unreadFields(records: readonly RecordOrigin[], name: KnownFormat): Map<string, number> {
  const format = FORMATS.find((known) => known.name === name);
  const read = new Set([...(format?.fields ?? []), ...(format?.optional ?? [])]);
  const counts = new Map<string, number>();
  for (const { fields } of records) {
    for (const [field, value] of Object.entries(fields)) {
      if (!read.has(field) && value !== null && value !== '') counts.set(field, (counts.get(field) ?? 0) + 1);
    }
  }
  return counts;
}
