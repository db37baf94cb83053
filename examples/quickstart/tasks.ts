import { randomStream } from '../../worker/random.ts';
import type { RandomStream } from '../../worker/random.ts';

/** A record in Alpaca's form; the category names the skill it asks for. */
export interface TaskRecord {
  readonly instruction: string;
  readonly input: string;
  readonly output: string;
  readonly category: string;
}

/** Numbers as the model meets them: in digits (`5281`), or with every digit as a word (`five two eight one`). */
type Form = 'digits' | 'words';

interface Skill {
  readonly name: string;
  readonly instruction: string;
  /** Share of the public problems, relative to the other skills': what is hard to learn needs more examples. */
  readonly weight: number;
  /** Draws a problem: the numbers given, and the number asked for. */
  draw(stream: RandomStream): { readonly given: readonly string[]; readonly result: string };
}

const WORDS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];

/** What the model can compute. */
const SKILLS: readonly Skill[] = [
  { name: 'add', instruction: 'Add the numbers.', weight: 3, draw: (stream) => onTwoNumbers(stream, (a, b) => a + b) },
  {
    name: 'subtract',
    instruction: 'Subtract the second number from the first.',
    weight: 3,
    draw: (stream) => onTwoNumbers(stream, (a, b) => a - b),
  },
  { name: 'larger', instruction: 'Which number is larger?', weight: 2, draw: drawComparison },
  {
    name: 'sort',
    instruction: 'Sort the digits.',
    weight: 2,
    draw: (stream) => onDigits(stream, (digits) => digits.toSorted()),
  },
  {
    name: 'reverse',
    instruction: 'Reverse the digits.',
    weight: 1,
    draw: (stream) => onDigits(stream, (digits) => digits.toReversed()),
  },
];

const BY_WEIGHT = SKILLS.flatMap((skill) => Array.from({ length: skill.weight }, () => skill));

/** A number of two digits and one of one. */
function onTwoNumbers(stream: RandomStream, compute: (a: number, b: number) => number) {
  const [a, b] = [10 + stream.below(90), stream.below(10)];
  return { given: [String(a), String(b)], result: String(compute(a, b)) };
}

/** Two numbers of two digits; half of the time they begin alike, so that the second digit decides. */
function drawComparison(stream: RandomStream) {
  const a = 10 + stream.below(90);
  const b = stream.below(2) === 0 ? 10 + stream.below(90) : a - (a % 10) + stream.below(10);
  return { given: [String(a), String(b)], result: String(Math.max(a, b)) };
}

/** Four digits. */
function onDigits(stream: RandomStream, compute: (digits: readonly number[]) => number[]) {
  const digits = Array.from({ length: 4 }, () => stream.below(10));
  return { given: [digits.join('')], result: compute(digits).join('') };
}

function write(number: string, form: Form): string {
  return form === 'digits' ? number : Array.from(number, (digit) => WORDS[Number(digit)]!).join(' ');
}

function writeInput(numbers: readonly string[], form: Form): string {
  return numbers.map((number) => write(number, form)).join(form === 'digits' ? ' ' : ', ');
}

/** A problem of a skill, given in one form and answered in another. */
function problem(skill: Skill, from: Form, to: Form, stream: RandomStream): TaskRecord {
  const { given, result } = skill.draw(stream);
  return {
    instruction: skill.instruction,
    input: writeInput(given, from),
    output: write(result, to),
    category: skill.name,
  };
}

/** A number from one form to the other. */
function conversion(to: Form, stream: RandomStream): TaskRecord {
  const number = Array.from({ length: 2 + stream.below(3) }, () => stream.below(10)).join('');
  const from = to === 'digits' ? 'words' : 'digits';
  return {
    instruction: `Write the number in ${to}.`,
    input: write(number, from),
    output: write(number, to),
    category: 'convert',
  };
}

function pick<T>(items: readonly T[], stream: RandomStream): T {
  return items[stream.below(items.length)]!;
}

/**
 * What the model is pretrained on, and what the server has as public data: problems given in digits and answered in
 * digits, problems given in words and answered in words, and numbers written in the other form. The answer to a problem
 * is never in the other form.
 */
export function publicRecord(stream: RandomStream): TaskRecord {
  const draw = stream.uniform();
  if (draw < 0.65) return problem(pick(BY_WEIGHT, stream), 'digits', 'digits', stream);
  if (draw < 0.85) return problem(pick(BY_WEIGHT, stream), 'words', 'words', stream);
  return conversion(draw < 0.95 ? 'words' : 'digits', stream);
}

/** What the clients have: problems given in digits, but answered in words. */
export function privateRecord(stream: RandomStream): TaskRecord {
  return problem(pick(SKILLS, stream), 'digits', 'words', stream);
}

/** `count` different records, drawn from the stream (seed, purpose), none of them with an input of `except`. */
export function drawRecords(
  draw: (stream: RandomStream) => TaskRecord,
  count: number,
  { seed, purpose, except = [] }: { seed: number; purpose: string; except?: readonly TaskRecord[] },
): TaskRecord[] {
  const stream = randomStream(seed, purpose);
  const key = ({ instruction, input }: TaskRecord) => `${instruction}\n${input}`;
  const seen = new Set(except.map(key));
  const records: TaskRecord[] = [];
  while (records.length < count) {
    const record = draw(stream);
    if (seen.has(key(record))) continue;
    seen.add(key(record));
    records.push(record);
  }
  return records;
}
