import type { PartitionSpec } from '../../crds/types.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { randomStream } from '../random.ts';
import type { RandomStream } from '../random.ts';
import { dirichlet } from './dirichlet.ts';
import { recordError } from './record.ts';
import type { RecordOrigin } from './record.ts';

export interface DataPartition {
  /** The indices of each client's records, ascending. Every record belongs to exactly one client. */
  readonly clients: readonly (readonly number[])[];
  /**
   * The number of records of each client; `categories` counts the values of the partition's field, if records have it.
   */
  readonly summary: readonly { client: number; records: number; categories: Record<string, number> }[];
}

/** Appends each record's index to the list of one client. */
type Dealer = (
  records: readonly RecordOrigin[],
  partition: PartitionSpec,
  clients: number[][],
  stream: RandomStream,
) => void;

/** Every partition, by its name in a manifest. */
const DEALERS: Readonly<Record<PartitionSpec['kind'], Dealer>> = {
  IID: (records, _, clients, stream) => deal(records, clients, stream),
  Dirichlet: (records, { alpha, field }, clients, stream) => divide(classesOf(records, field), alpha, clients, stream),
  Meta: (records, { field }, clients) => assign(classesOf(records, field), clients),
};

/**
 * Distributes records to clients.
 * - IID: shuffled and dealt evenly; clients differ by at most one record.
 * - Dirichlet: for each value of `field`, the clients' shares are a draw from Dirichlet(alpha).
 * - Meta: all records with the same value of `field` go to one client: the most frequent value first, each to the
 *   client with the fewest records so far.
 *
 * Throws UserError for fewer records than clients, a record without `field`, or a client without records.
 */
export function partitionRecords(
  records: readonly RecordOrigin[],
  partition: PartitionSpec,
  clientCount: number,
  seed: number,
): DataPartition {
  const { kind, field } = partition;
  if (records.length < clientCount) {
    throw new UserError(`${records.length} training records cannot be distributed to ${clientCount} clients`, {
      hint: 'Lower federation.clients, or provide more training data.',
    });
  }
  const clients: number[][] = Array.from({ length: clientCount }, () => []);
  const stream = randomStream(seed, 'partition', kind);
  DEALERS[kind](records, partition, clients, stream);

  const empty = clients.flatMap((owned, client) => (owned.length === 0 ? [client] : []));
  if (empty.length > 0) {
    throw new UserError(
      `the ${kind} partition leaves client${empty.length > 1 ? 's' : ''} ${empty.join(', ')} without records`,
      {
        hint:
          kind === 'Dirichlet'
            ? 'Raise data.partition.alpha, choose another seed, or lower federation.clients.'
            : `'${field}' has fewer values than there are clients: lower federation.clients, or split by another field.`,
      },
    );
  }
  for (const owned of clients) owned.sort((a, b) => a - b);
  const summary = clients.map((owned, client) => ({
    client,
    records: owned.length,
    categories: countValues(owned, records, field),
  }));
  return { clients, summary };
}

/**
 * Record indices by the value of `field`. The values are sorted, so that the order of the file does not affect them.
 */
function classesOf(records: readonly RecordOrigin[], field: string): { value: string; indices: number[] }[] {
  const classes = new Map<string, number[]>();
  records.forEach((record, index) => {
    const value = valueOf(record, field);
    if (value === undefined) {
      throw recordError(
        record,
        `the field '${field}', by which the partition splits, is missing`,
        'Set data.partition.field, or kind: IID.',
      );
    }
    const indices = classes.get(value);
    if (indices) indices.push(index);
    else classes.set(value, [index]);
  });
  return [...classes].map(([value, indices]) => ({ value, indices })).sort((a, b) => (a.value < b.value ? -1 : 1));
}

function valueOf(record: RecordOrigin, field: string): string | undefined {
  const value = record.fields[field];
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}

function deal(records: readonly RecordOrigin[], clients: number[][], stream: RandomStream): void {
  const order = stream.shuffle(records.map((_, index) => index));
  order.forEach((index, at) => clients[at % clients.length]!.push(index));
}

function divide(
  classes: readonly { indices: number[] }[],
  alpha: number,
  clients: number[][],
  stream: RandomStream,
): void {
  for (const { indices } of classes) {
    const shares = dirichlet(clients.length, alpha, stream);
    const order = stream.shuffle(indices);
    let share = 0;
    let start = 0;
    clients.forEach((owned, client) => {
      share += shares[client]!;
      // Rounding the running sum instead of each share assigns every record exactly once.
      const end = client === clients.length - 1 ? order.length : Math.round(share * order.length);
      for (const index of order.slice(start, end)) owned.push(index);
      start = end;
    });
  }
}

function assign(classes: readonly { value: string; indices: number[] }[], clients: number[][]): void {
  for (const { indices } of classes.toSorted((a, b) => b.indices.length - a.indices.length)) {
    const poorest = clients.reduce((least, owned) => (owned.length < least.length ? owned : least));
    for (const index of indices) poorest.push(index);
  }
}

function countValues(
  owned: readonly number[],
  records: readonly RecordOrigin[],
  field: string,
): Record<string, number> {
  const counts = new Map<string, number>();
  for (const index of owned) {
    const value = valueOf(records[index]!, field);
    if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return Object.fromEntries(counts);
}
