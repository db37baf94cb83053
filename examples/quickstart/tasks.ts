import { randomStream } from '../../worker/random.ts';
import type { RandomStream } from '../../worker/random.ts';

/** A record in Alpaca's form; the category names the skill it asks for. */
export interface TaskRecord {
  readonly instruction: string;
  readonly input: string;
  readonly output: string;
  readonly category: string;
}

/** How numbers are written: in digits (`5281`), or with every digit as a word (`five two eight one`). */
type Form = 'digits' | 'words';

interface Skill {
  readonly name: string;
  readonly instruction: string;
  /** Share of the public problems, relative to other skills: skills that are hard to learn need more examples. */
  readonly weight: number;
  /** Draws a problem: the numbers given, and the number asked for. */
  draw(stream: RandomStream): { readonly given: readonly string[]; readonly result: string };
}

const WORDS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];

/** The skills that the model is pretrained in. */
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

/** A number of two digits and a number of one digit. */
function onTwoNumbers(stream: RandomStream, compute: (a: number, b: number) => number) {
  const [a, b] = [10 + stream.below(90), stream.below(10)];
  return { given: [String(a), String(b)], result: String(compute(a, b)) };
}

/** Two numbers of two digits. In half of the problems the first digits are equal, so that the second digit decides. */
function drawComparison(stream: RandomStream) {
  const a = 10 + stream.below(90);
  const b = stream.below(2) === 0 ? 10 + stream.below(90) : a - (a % 10) + stream.below(10);
  return { given: [String(a), String(b)], result: String(Math.max(a, b)) };
}

/** A problem on four digits. */
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

/** A problem of a skill, with question and answer in the given forms. */
function problem(skill: Skill, from: Form, to: Form, stream: RandomStream): TaskRecord {
  const { given, result } = skill.draw(stream);
  return {
    instruction: skill.instruction,
    input: writeInput(given, from),
    output: write(result, to),
    category: skill.name,
  };
}

/** Conversion of a number into the given form. */
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
 * A record for pretraining and for the server's public data: a problem with question and answer in digits, a problem
 * with question and answer in words, or a conversion of a number. The answer to a problem is never in the other form.
 */
export function publicRecord(stream: RandomStream): TaskRecord {
  const draw = stream.uniform();
  if (draw < 0.65) return problem(pick(BY_WEIGHT, stream), 'digits', 'digits', stream);
  if (draw < 0.85) return problem(pick(BY_WEIGHT, stream), 'words', 'words', stream);
  return conversion(draw < 0.95 ? 'words' : 'digits', stream);
}

/** A record of the clients: a problem in digits with an answer in words. */
export function privateRecord(stream: RandomStream): TaskRecord {
  return problem(pick(SKILLS, stream), 'digits', 'words', stream);
}

/** Draws `count` different records from the stream (seed, purpose), none with the same question as one of `except`. */
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
