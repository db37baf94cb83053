import { recordError } from '../data/record.ts';
import type { GenerationTask } from './task.ts';

/** Grade-school math: right when the final number is that of the reference, as a number ("1,000.0" is "1000"). */
export const gsm8k: GenerationTask = {
  name: 'gsm8k',
  generates: true,
  check: (example) => {
    if (finalNumber(example.response) !== null) return;
    throw recordError(
      example,
      'the response has no number, which the task gsm8k compares with',
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
 * The number a solution ends with, in a normal form: the first after the first `####` on its line, else the last of the
 * text. Null when there is none.
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
 * Digits without group commas, leading zeros, trailing zeros of a fraction; compared as text, so that no digit is
 * rounded away.
 */
function normalForm(negative: boolean, digits: string): string {
  const [integer = '', fraction = ''] = digits.replaceAll(',', '').split('.');
  const whole = integer.replace(/^0+/, '') || '0';
  const part = fraction.replace(/0+$/, '');
  const magnitude = part ? `${whole}.${part}` : whole;
  return negative && magnitude !== '0' ? `-${magnitude}` : magnitude;
}
