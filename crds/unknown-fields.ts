import { fieldOf, isRecord, pathText } from './json-schema/node.ts';
import type { Path, Problem, SchemaNode } from './json-schema/node.ts';
import { nearest } from './suggest.ts';

/** Maximum number of unknown fields that get a suggestion: a manifest with more is not a FedBiOTJob. */
const MAX_SUGGESTIONS = 20;

interface Unknown {
  readonly path: Path;
  readonly name: string;
  readonly parent: SchemaNode;
}

/**
 * The value without fields that the schema does not know, and a problem for each of them. A known field that is null
 * counts as omitted, as the API server does before it sets defaults.
 */
export function onlyKnown(
  schema: SchemaNode,
  value: unknown,
): { readonly value: unknown; readonly problems: Problem[] } {
  const unknown: Unknown[] = [];
  const known = kept(schema, value, [], unknown);
  const problems = unknown.map(({ path, name, parent }, index) => ({
    path,
    message: index < MAX_SUGGESTIONS ? unknownField(name, parent, schema) : 'unknown field',
  }));
  return { value: known, problems };
}

function kept(schema: SchemaNode, value: unknown, path: Path, unknown: Unknown[]): unknown {
  if (Array.isArray(value))
    return value.map((item, index) => kept(schema.items ?? {}, item, [...path, index], unknown));
  if (!isRecord(value)) return value;
  const fields: [string, unknown][] = [];
  for (const [name, field] of Object.entries(value)) {
    const node = fieldOf(schema, name);
    const at = [...path, name];
    if (node === undefined && schema.additionalProperties === false) unknown.push({ path: at, name, parent: schema });
    else if (node === undefined || field !== null) fields.push([name, kept(node ?? {}, field, at, unknown)]);
  }
  return Object.fromEntries(fields);
}

/** Every path of the schema that ends in `name`. */
function pathsTo(name: string, schema: SchemaNode, path: Path = []): Path[] {
  return Object.entries(schema.properties ?? {}).flatMap(([field, node]) => [
    ...(field === name ? [[...path, field]] : []),
    ...pathsTo(name, node, [...path, field]),
  ]);
}

function unknownField(name: string, parent: SchemaNode, root: SchemaNode): string {
  const elsewhere = pathsTo(name, root).map(pathText);
  const guess =
    nearest(name, Object.keys(parent.properties ?? {})) ?? (elsewhere.length <= 3 ? elsewhere.join(' or ') : '');
  return guess === '' ? 'unknown field' : `unknown field; did you mean ${guess}?`;
}
