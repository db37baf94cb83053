/**
 * Rows of a pass over sequences side by side in which tokens share a row where everything up to them is the same: a
 * causal decoder makes the same of them. Prompts of one template begin alike. For passes without a gradient, which
 * would have to be summed over the tokens of a row.
 */
export interface SharedRows {
  /** Token id of each row, [rows]. */
  readonly tokens: Int32Array;
  /** Of each sequence, the row of each of its tokens. */
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

/** Which of the others has the longest beginning in common with a sequence, and how many tokens that is. */
function closest(sequence: Int32Array, others: readonly Int32Array[]): { index: number; length: number } {
  let best = { index: -1, length: 0 };
  others.forEach((other, index) => {
    const length = commonBeginning(sequence, other);
    if (length > best.length) best = { index, length };
  });
  return best;
}

function commonBeginning(a: Int32Array, b: Int32Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
