import { Environment, Interpreter } from '@huggingface/jinja';
import { isRecord } from '../../crds/json-schema/node.ts';
import { WrittenNumber } from '../files/written-number.ts';

/** The library's types are not available: its declarations import files without their extensions. */
interface RuntimeValue {
  readonly value: unknown;
}

interface Variables {
  set(name: string, value: unknown): RuntimeValue;
}

const Variables: new () => Variables = Environment;
const Interpreting: new (environment: Variables) => {
  evaluate(statement: unknown, environment: unknown): RuntimeValue;
  run(program: unknown): RuntimeValue;
} = Interpreter;

/**
 * Maximum number of statements, expressions and loop iterations for one text. A conversation of a thousand turns needs
 * some hundred thousand.
 */
const MAX_STEPS = 2_000_000;
const MAX_CHARACTERS = 1 << 26;
const MAX_ELEMENTS = 1_000_000;

/** Runs a template within limits of time and memory. A template that exceeds them throws. */
export class BoundedInterpreter extends Interpreting {
  #steps = 0;
  /** Expressions over which loops iterate. */
  readonly #loopedOver = new WeakSet<object>();

  override evaluate(statement: unknown, environment: unknown): RuntimeValue {
    this.#spend(1);
    if (isRecord(statement) && statement['type'] === 'For') this.#noteIterable(statement['iterable']);
    const result = super.evaluate(statement, environment);
    const length = lengthOf(result.value);
    if (typeof result.value === 'string' && length > MAX_CHARACTERS)
      throw new Error(`it produces a text of more than ${MAX_CHARACTERS} characters`);
    if (typeof result.value !== 'string' && length > MAX_ELEMENTS)
      throw new Error(`it produces a list of more than ${MAX_ELEMENTS} elements`);
    if (isRecord(statement) && this.#loopedOver.has(statement)) this.#spend(length);
    return result;
  }

  #spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) throw new Error(`it takes more than ${MAX_STEPS} steps`);
  }

  #noteIterable(iterable: unknown): void {
    if (!isRecord(iterable)) return;
    const filtered = iterable['type'] === 'SelectExpression' ? iterable['lhs'] : iterable;
    if (isRecord(filtered)) this.#loopedOver.add(filtered);
  }
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string' || Array.isArray(value)) return value.length;
  return value instanceof Map ? value.size : 0;
}

/** Python's range. */
export function boundedRange(first: number, end?: number, step = 1): number[] {
  const [from, to] = end === undefined ? [0, first] : [first, end];
  if (step === 0) throw new Error('range() must not have a step of 0');
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (length > MAX_ELEMENTS) throw new Error(`range() of ${length} numbers, more than ${MAX_ELEMENTS}`);
  return Array.from({ length }, (_, i) => from + i * step);
}

/** An environment with these variables. It distinguishes integers from floats, as Python does. */
export function environmentWith(variables: Readonly<Record<string, unknown>>): Variables {
  const environment = new Variables();
  for (const [name, value] of Object.entries(variables)) takeNumbers(environment.set(name, value), value);
  return environment;
}

/** Replaces the library's value of each WrittenNumber by a number. */
function takeNumbers(made: RuntimeValue, from: unknown): void {
  if (typeof from !== 'object' || from === null) return;
  const { value } = made;
  if (Array.isArray(value) && Array.isArray(from)) {
    for (const [i, element] of from.entries()) {
      if (element instanceof WrittenNumber) value[i] = numberOf(element);
      else takeNumbers(value[i], element);
    }
  } else if (value instanceof Map) {
    for (const [key, member] of Object.entries(from)) {
      const child = value.get(key);
      if (member instanceof WrittenNumber) value.set(key, numberOf(member));
      else takeNumbers(child, member);
    }
  }
}

function numberOf(written: WrittenNumber): RuntimeValue {
  const scratch = new Variables();
  const isInteger = /^-?\d+$/.test(written.toString());
  // The library chooses the type of a number by the JavaScript value.
  const number = scratch.set('number', isInteger ? 1 : 0.5);
  const isTrue = scratch.set('truth', Number(written) !== 0);
  return Object.assign(number, { value: written, __bool__: () => isTrue });
}
