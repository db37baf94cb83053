import type { TLocalizedValidationError } from 'typebox/error';
import { LABEL } from './schema/kubernetes-names.ts';
import { fieldOf, isRecord } from './json-schema/node.ts';
import type { Path, Problem, SchemaNode } from './json-schema/node.ts';
import { nearest } from './suggest.ts';

/** A value for a message. */
function shown(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value !== 'string') return String(value);
  return `the string ${JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)}`;
}

const TYPES: Record<string, string> = {
  object: 'an object',
  array: 'a list',
  string: 'a string',
  integer: 'an integer',
  number: 'a finite number',
  boolean: 'true or false',
};

const typeWords = (type: SchemaNode['type']) =>
  [type ?? 'string']
    .flat()
    .map((word) => TYPES[word])
    .join(' or ');

function oneOf(allowed: readonly unknown[], value: unknown): string {
  const words = allowed.map(String);
  const guess = typeof value === 'string' && words.length > 1 ? nearest(value, words) : undefined;
  const question = guess === undefined ? '' : `; did you mean ${guess}?`;
  return `must be ${words.length > 1 ? 'one of ' : ''}${words.join(', ')}, not ${shown(value)}${question}`;
}

function range({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: SchemaNode): string {
  const words = [
    minimum === undefined ? undefined : `at least ${minimum}`,
    exclusiveMinimum === undefined ? undefined : `above ${exclusiveMinimum}`,
    maximum === undefined ? undefined : `at most ${maximum}`,
    exclusiveMaximum === undefined ? undefined : `below ${exclusiveMaximum}`,
  ];
  return words.filter((word) => word !== undefined).join(' and ');
}

const schemaAt = (root: SchemaNode, path: Path) =>
  path.reduce<SchemaNode>((node, step) => (typeof step === 'number' ? node.items : fieldOf(node, step)) ?? {}, root);

const valueAt = (root: unknown, path: Path) =>
  path.reduce<unknown>(
    (value, step) => (isRecord(value) || Array.isArray(value) ? Reflect.get(value, step) : undefined),
    root,
  );

/** `/spec/adapter/lora/targets/3`, a JSON pointer into `root`, as a path. */
function pathOf(pointer: string, root: unknown): Path {
  const path: (string | number)[] = [];
  for (const step of pointer.split('/').slice(1)) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    path.push(Array.isArray(valueAt(root, path)) ? Number(name) : name);
  }
  return path;
}

const many = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;

/** The problems that one TypeBox error on `root` stands for, in the user's terms. */
export function problemsOf(error: TLocalizedValidationError, schema: SchemaNode, root: unknown): Problem[] {
  const path = pathOf(error.instancePath, root);
  const node = schemaAt(schema, path);
  const value = valueAt(root, path);
  const problem = (message: string): Problem[] => [{ path, message }];
  switch (error.keyword) {
    case 'additionalProperties':
      return []; // a map: the problems of its values are reported already
    case 'required':
      return error.params.requiredProperties.map((name) => ({ path: [...path, name], message: 'is required' }));
    case 'type':
      return node.enum === undefined ? problem(`must be ${typeWords(node.type)}, not ${shown(value)}`) : []; // the enum's problem says more
    case 'enum':
      return problem(oneOf(error.params.allowedValues, value));
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
      return problem(`must be ${range(node)}, not ${shown(value)}`);
    case 'minLength':
      return problem('must not be empty');
    case 'maxLength':
      return problem(`must have at most ${many(error.params.limit, 'character')}`);
    case 'minItems':
      return problem(`must have at least ${many(error.params.limit, 'item')}`);
    case 'maxItems':
      return problem(`must have at most ${many(error.params.limit, 'item')}`);
    case 'maxProperties':
      return problem(`must have at most ${error.params.limit} entries`);
    case 'uniqueItems':
      return error.params.duplicateItems.map((i) => ({
        path: [...path, i],
        message: `is in the list twice: ${shown(valueAt(value, [i]))}`,
      }));
    case 'pattern':
      return problem(
        node.pattern === LABEL
          ? `must be lower-case letters, digits and dashes, with a letter or digit at either end, not ${shown(value)}`
          : `must match ${node.pattern}, not ${shown(value)}`,
      );
    default:
      return problem(error.message);
  }
}
