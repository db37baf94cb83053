import { collate } from '../../worker/data/batch.ts';
import type { Session } from '../../worker/engine/compute.ts';
import { float32, int32 } from '../../worker/engine/graph/tensor.ts';
import { labelFeeds, placeFeeds, tokenIds } from '../../worker/model/batch-feeds.ts';
import type { Tokenizer } from '../../worker/tokenizer/tokenizer.ts';
import { encodeRecords } from './encode.ts';
import type { TaskRecord } from './tasks.ts';

/**
 * The percentage of records, by category, in which every response token is the likeliest one after the true tokens
 * before it. Greedy decoding answers exactly these records correctly. `scorer` is a session of `accuracyProgram`.
 */
export async function exactMatch(
  scorer: Session,
  parameters: Float32Array,
  records: readonly TaskRecord[],
  tokenizer: Tokenizer,
): Promise<Map<string, number>> {
  const batch = collate(encodeRecords(records, tokenizer), 0);
  const { labelledRows, labels } = labelFeeds(batch);
  const feeds = {
    ids: int32(tokenIds(batch)),
    ...placeFeeds(batch),
    labelledRows,
    labels,
    parameters: float32(parameters),
  };
  const { outputs } = await scorer.run({ feeds, fetch: ['correct'] });
  const recordOfRow = [...batch.lengths].flatMap((length, record) => Array.from({ length }, () => record));
  const wrong = new Set<number>();
  outputs['correct']!.data.forEach((correct, i) => {
    if (Number(correct) === 0) wrong.add(recordOfRow[Number(labelledRows.data[i])]!);
  });
  const byCategory = Map.groupBy(records.keys(), (i) => records[i]!.category);
  const percent = (indices: readonly number[]) => (100 * indices.filter((i) => !wrong.has(i)).length) / indices.length;
  return new Map(
    [...byCategory].sort(([a], [b]) => (a < b ? -1 : 1)).map(([category, indices]) => [category, percent(indices)]),
  );
}
