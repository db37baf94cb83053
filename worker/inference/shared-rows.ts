/**
 * The rows of a pass over several sequences, in which tokens with the same prefix share a row: a causal decoder
 * computes the same states for them. Prompts of one template share a prefix. Only for passes without a gradient, which
 * would have to be summed over the tokens of a row.
 */
export interface SharedRows {
  /** Token id of each row, [rows]. */
  readonly tokens: Int32Array;
  /** For each sequence, the row of each of its tokens. */
  readonly rowsOf: readonly Int32Array[];
}

export function shareRows(sequences: readonly Int32Array[]): SharedRows {
  const tokens: number[] = [];
  const rowsOf: Int32Array[] = [];
  for (const sequence of sequences) {
    const { index, length } = closest(sequence, sequences.slice(0, rowsOf.length));
    const rows = new Int32Array(sequence.length);
    rows.set(rowsOf[index]?.subarray(0, length) ?? []);
    for (let i = length; i < rows.length; i++) rows[i] = tokens.push(sequence[i]!) - 1;
    rowsOf.push(rows);
  }
  return { tokens: Int32Array.from(tokens), rowsOf };
}

/** The index of the sequence among `others` with the longest common prefix, and the length of that prefix. */
function closest(sequence: Int32Array, others: readonly Int32Array[]): { index: number; length: number } {
  let best = { index: -1, length: 0 };
  others.forEach((other, index) => {
    const length = commonPrefix(sequence, other);
    if (length > best.length) best = { index, length };
  });
  return best;
}

function commonPrefix(a: Int32Array, b: Int32Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
