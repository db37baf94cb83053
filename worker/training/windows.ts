import type { Sequence } from '../data/sequence.ts';

/**
 * Groups consecutive steps whose sequences have at most `tokens` tokens in total. A step with more is a group of its
 * own.
 */
export function windows<Step>(
  steps: readonly Step[],
  tokens: number,
  sequencesOf: (step: Step) => readonly Sequence[],
): Step[][] {
  const out: Step[][] = [];
  let filled = Infinity;
  for (const step of steps) {
    const more = sequencesOf(step).reduce((sum, { inputIds }) => sum + inputIds.length, 0);
    if (filled + more > tokens) {
      out.push([]);
      filled = 0;
    }
    out.at(-1)!.push(step);
    filled += more;
  }
  return out;
}
