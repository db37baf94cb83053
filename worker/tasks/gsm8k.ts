import { recordError } from '../data/record.ts';
import type { GenerationTask } from './task.ts';

/**
 * Grade-school math. A prediction is correct if its final number equals that of the reference ("1,000.0" equals
 * "1000").
 */
export const gsm8k: GenerationTask = {
  name: 'gsm8k',
  generates: true,
  check: (example) => {
    if (finalNumber(example.response) !== null) return;
    throw recordError(
      example,
      'the response contains no number for the task gsm8k to compare with',
      'Choose another evaluation.task.',
    );
  },
  score: (prediction, example) => {
    const expected = finalNumber(example.response);
    return { accuracy: expected !== null && finalNumber(prediction) === expected ? 1 : 0 };
  },
};

// A minus right after a digit, letter or bracket is a subtraction, not a sign. Commas count only between groups of
// three.
const NUMBER =
  /(?:(?<![\p{L}\p{N})\]])[-−])?\$?(?:(?<=\$)[-−])?((?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+)/gu;

/**
 * The final number of a solution in normal form: the first number on the line after the first `####`, otherwise the
 * last number of the text. Null if there is none.
 */
export function finalNumber(text: string): string | null {
  const marked = /####([^\n]*)/.exec(text)?.[1];
  const afterMark = marked === undefined ? undefined : numbersIn(marked)[0];
  return afterMark ?? numbersIn(text).at(-1) ?? null;
}

function numbersIn(text: string): string[] {
  return Array.from(text.matchAll(NUMBER), ([whole, digits = '']) => normalForm(/[-−]/.test(whole), digits));
}

/**
 * Digits without group separators, leading zeros, and trailing zeros of a fraction. Compared as text, so that no digit
 * is lost by rounding.
 */
function normalForm(negative: boolean, digits: string): string {
  const [integer = '', fraction = ''] = digits.replaceAll(',', '').split('.');
  const whole = integer.replace(/^0+/, '') || '0';
  const part = fraction.replace(/0+$/, '');
  const magnitude = part ? `${whole}.${part}` : whole;
  return negative && magnitude !== '0' ? `-${magnitude}` : magnitude;
}
