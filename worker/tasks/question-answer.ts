import type { GenerationTask } from './task.ts';

/**
 * Questions with short answers, scored as in SQuAD: exact match and F1 after normalisation, each the best over the
 * accepted answers. Only the first non-blank line of the prediction counts, because a model that was not fine-tuned
 * continues after the answer.
 */
export const questionAnswer: GenerationTask = {
  name: 'qa',
  generates: true,
  check: () => {},
  score: (prediction, { acceptedAnswers }) => {
    const answer = prediction.trimStart().split('\n', 1)[0] ?? '';
    const best = (compare: (prediction: string, accepted: string) => number) =>
      Math.max(0, ...acceptedAnswers.map((accepted) => compare(answer, accepted)));
    return { accuracy: best(exactMatch), f1: best(f1) };
  },
};

/** SQuAD's normal form: lower case, no ASCII punctuation, no articles, single spaces. */
export function normalizeAnswer(text: string): string {
  return text
    .toLowerCase()
    .replace(/[!-/:-@[-`{-~]/g, '')
    .replace(/(?<![\p{L}\p{N}_])(a|an|the)(?![\p{L}\p{N}_])/gu, ' ')
    .split(/\s+/)
    .filter(Boolean)
    .join(' ');
}

function exactMatch(prediction: string, accepted: string): number {
  return normalizeAnswer(prediction) === normalizeAnswer(accepted) ? 1 : 0;
}

/** Harmonic mean of precision and recall of the common words. */
function f1(prediction: string, accepted: string): number {
  const predicted = words(prediction);
  const expected = words(accepted);
  if (predicted.length === 0 || expected.length === 0) return predicted.length === expected.length ? 1 : 0;
  const left = new Map<string, number>();
  for (const word of expected) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of predicted) {
    const count = left.get(word) ?? 0;
    if (count > 0) common++;
    left.set(word, count - 1);
  }
  return (2 * common) / (predicted.length + expected.length);
}

function words(text: string): string[] {
  return normalizeAnswer(text).split(' ').filter(Boolean);
}
