import type { DataSource } from '../../crds/types.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { localPath } from '../files/local-path.ts';
import { readInput } from '../files/read.ts';
import { sha256 } from '../files/sha256.ts';
import { hubFile } from './hub-file.ts';
import { MAX_DATA_BYTES, readRecords } from './record-file.ts';
import { interpretRecords } from './record-format.ts';
import type { KnownFormat } from './record-format.ts';
import type { DataRecord } from './record.ts';

export interface LoadedData {
  readonly file: string;
  readonly bytes: number;
  /** SHA-256 (hex) of the file's bytes. */
  readonly sha256: string;
  readonly format: KnownFormat;
  /** At least one. */
  readonly records: readonly DataRecord[];
}

/**
 * Loads the records of a source: a path (relative to `baseDirectory`, the folder of the manifest), a file:// URL, or a
 * file of a data set on the Hugging Face hub.
 * @throws UserError if the file is missing, unreadable or invalid
 */
export async function loadData(source: Pick<DataSource, 'uri' | 'format'>, baseDirectory: string): Promise<LoadedData> {
  const file = source.uri.startsWith('hf://')
    ? await hubFile(source.uri)
    : localPath(source.uri, {
        baseDirectory,
        forms: 'Give a path, a file:// URL or hf://datasets/….',
        example: 'data.jsonl',
      });
  if (!/\.jsonl?(\.gz)?$/.test(file)) {
    throw new UserError(`${file}: only .json and .jsonl files, plain or gzipped (.gz), are supported`, {
      hint: "Convert it, for example with Python's datasets.load_dataset(...).to_json('data.jsonl').",
    });
  }
  const content = readInput(file, {
    maxBytes: MAX_DATA_BYTES,
    hint: 'A relative path is resolved against the manifest’s folder.',
    tooLarge: 'Split the data into smaller files, or sample from it.',
  });
  const { format, records } = interpretRecords(readRecords(file, content), source.format);
  return { file, bytes: content.length, sha256: sha256(content), format, records };
}
