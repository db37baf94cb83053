import { Environment } from '@marcbachmann/cel-js';
import type { ParseResult } from '@marcbachmann/cel-js';
import { RULES } from './json-schema/fields.ts';
import { fieldOf, isRecord } from './json-schema/node.ts';
import type { Path, Problem, SchemaNode } from './json-schema/node.ts';

const environment = new Environment().registerVariable('self', 'dyn');
const compiled = new Map<string, ParseResult>();

function compile(rule: string): ParseResult {
  const program = compiled.get(rule) ?? environment.parse(rule);
  compiled.set(rule, program);
  return program;
}

/** The value as the API server's CEL sees it: the schema's integers are ints, its other numbers doubles. */
function celValue(schema: SchemaNode, value: unknown): unknown {
  if (schema.type === 'integer' && typeof value === 'number' && Number.isInteger(value)) return BigInt(value);
  if (Array.isArray(value)) return value.map((item) => celValue(schema.items ?? {}, item));
  if (!isRecord(value)) return value;
  // A Map: the interpreter looks up `constructor` of an object, and a label may have that name.
  return new Map(Object.entries(value).map(([name, field]) => [name, celValue(fieldOf(schema, name) ?? {}, field)]));
}

/** Whether `rule`, at `node`, reads the field at `path`: rules name fields as `self.a.b`. */
function reads(rule: string, node: Path, path: Path): boolean {
  const within = node.every((step, i) => path[i] === step);
  const fields = path.slice(node.length).filter((step) => typeof step === 'string');
  return within && rule.includes(['self', ...fields].join('.'));
}

/** Transition rules, which every new object satisfies. */
const ofChanges = (rule: string) => /\boldSelf\b/.test(rule);

/**
 * Evaluates every CEL rule of `schema` on a value with its defaults. Rules that read one of the `broken` fields are
 * skipped: with a value of a wrong type, their result is meaningless or an error.
 */
export function violations(schema: SchemaNode, value: unknown, broken: readonly Path[], path: Path = []): Problem[] {
  if (value === undefined) return [];
  const found: Problem[] = [];
  for (const { rule, message, fieldPath } of schema[RULES] ?? []) {
    if (ofChanges(rule)) continue;
    if (broken.some((field) => reads(rule, path, field))) continue;
    if (compile(rule)({ self: celValue(schema, value) }) !== true) {
      found.push({ path: [...path, ...(fieldPath?.split('.').filter(Boolean) ?? [])], message });
    }
  }
  if (Array.isArray(value)) {
    value.forEach((item, i) => found.push(...violations(schema.items ?? {}, item, broken, [...path, i])));
  } else if (isRecord(value)) {
    for (const [name, field] of Object.entries(value)) {
      found.push(...violations(fieldOf(schema, name) ?? {}, field, broken, [...path, name]));
    }
  }
  return found;
}
