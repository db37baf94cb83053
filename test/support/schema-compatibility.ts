import { isDeepStrictEqual } from 'node:util';
import { isRecord } from '../../crds/json-schema/node.ts';

type Node = Readonly<Record<string, unknown>>;

/** Bounds that narrow as they rise, and those that narrow as they fall. */
const LOWER = ['minimum', 'minLength', 'minItems', 'minProperties'];
const UPPER = ['maximum', 'maxLength', 'maxItems', 'maxProperties'];

/** Keywords that must not change. */
const FIXED = [
  'type',
  'nullable',
  'x-kubernetes-int-or-string',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
];

/**
 * The values that a CRD schema no longer accepts, or interprets differently, compared with an earlier one; one line
 * each. Descriptions are not compared, and neither are CEL rules.
 */
export function incompatibilities(before: Node, after: Node, path = ''): string[] {
  const at = path || 'the object';
  const problem = (text: string) => `${at}: ${text}`;
  return [
    ...FIXED.filter((name) => !isDeepStrictEqual(before[name], after[name])).map((name) =>
      problem(`${name} was ${shown(before[name])}, is ${shown(after[name])}`),
    ),
    ...['pattern', 'format']
      .filter((name) => after[name] !== undefined && after[name] !== before[name])
      .map((name) => problem(`${name} was ${shown(before[name])}, is ${shown(after[name])}`)),
    ...LOWER.filter((name) => isNarrower(after[name], before[name], 1)).map((name) =>
      problem(`${name} was ${shown(before[name])}, is ${shown(after[name])}`),
    ),
    ...UPPER.filter((name) => isNarrower(after[name], before[name], -1)).map((name) =>
      problem(`${name} was ${shown(before[name])}, is ${shown(after[name])}`),
    ),
    ...['exclusiveMinimum', 'exclusiveMaximum', 'uniqueItems']
      .filter((name) => after[name] === true && before[name] !== true)
      .map((name) => problem(`${name} is new`)),
    ...removedValues(before['enum'], after['enum']).map((value) => problem(`the value ${shown(value)} was removed`)),
    ...(keepsDefault(before['default'], after['default'])
      ? []
      : [problem(`the default was ${shown(before['default'])}, is ${shown(after['default'])}`)]),
    ...listOf(after['required'])
      .filter((name) => !listOf(before['required']).includes(name))
      .map((name) => problem(`${String(name)} is required now`)),
    ...inProperties(before, after, path),
    ...(['items', 'additionalProperties'] as const).flatMap((name) => {
      const [was, is] = [before[name], after[name]];
      if (isRecord(was) && isRecord(is)) return incompatibilities(was, is, `${path}[]`);
      return isDeepStrictEqual(was, is) ? [] : [problem(`${name} was ${shown(was)}, is ${shown(is)}`)];
    }),
  ];
}

function inProperties(before: Node, after: Node, path: string): string[] {
  const [were, are] = [before['properties'], after['properties']].map((fields) => (isRecord(fields) ? fields : {}));
  return Object.entries(were ?? {}).flatMap(([name, field]) => {
    const where = path === '' ? name : `${path}.${name}`;
    const now = are?.[name];
    if (!isRecord(now)) return [`${where}: the field was removed`];
    return isRecord(field) ? incompatibilities(field, now, where) : [];
  });
}

/** @param sign 1: a bound that narrows as it rises; −1: one that narrows as it falls */
function isNarrower(after: unknown, before: unknown, sign: 1 | -1): boolean {
  if (typeof after !== 'number') return false;
  return typeof before !== 'number' || sign * (after - before) > 0;
}

function removedValues(before: unknown, after: unknown): unknown[] {
  if (after === undefined) return [];
  return before === undefined ? ['any'] : listOf(before).filter((value) => !listOf(after).includes(value));
}

/** An object's default may gain fields if these are new fields with that default. */
function keepsDefault(before: unknown, after: unknown): boolean {
  if (!isRecord(before) || !isRecord(after)) return isDeepStrictEqual(before, after);
  return Object.entries(before).every(([name, value]) => keepsDefault(value, after[name]));
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const shown = (value: unknown): string => (value === undefined ? 'none' : JSON.stringify(value));
