/** Edit distance of two words: letters inserted, deleted, replaced, or swapped with a neighbour. */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const above = rows[i - 1]!;
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? rows[i - 2]![j - 2]! + 1 : replaced;
      row.push(Math.min(row[j - 1]! + 1, above[j]! + 1, replaced, swapped));
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

const letters = (word: string) => word.toLowerCase().replaceAll(/[-_]/g, '');

/** The known word that `word` is most probably a misspelling of, if any; case, `-` and `_` are ignored. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  // The distance takes quadratic time, so long words get no suggestion.
  if (word.length > 64) return undefined;
  const [best] = known
    .map((candidate) => ({ candidate, slips: distance(letters(word), letters(candidate)) }))
    .filter(({ candidate, slips }) => slips <= Math.max(1, Math.floor(candidate.length / 3)))
    .sort((a, b) => a.slips - b.slips);
  return best?.candidate;
}
