import { mustBeGiven } from '../../crds/structural.ts';
import type { SchemaNode } from '../../crds/json-schema/node.ts';

/** Field names from the root, with [] for list items. */
export type SchemaPath = readonly string[];

export const ITEM = '[]';

/** `client.env[].name` */
export const schemaPathText = (path: SchemaPath): string => path.join('.').replaceAll(`.${ITEM}`, ITEM);

/** Paths of all leaf fields. A map, or an object of another API, counts as one field. */
export function leavesOf(node: SchemaNode, path: SchemaPath = []): SchemaPath[] {
  if (node.items !== undefined) return leavesOf(node.items, [...path, ITEM]);
  if (node.properties === undefined) return [path];
  return Object.entries(node.properties).flatMap(([name, field]) => leavesOf(field, [...path, name]));
}

/** Sample texts, of which at least one matches each pattern in the schema. */
const TEXTS = ['a', '/a', 'a/b'];

/** Fields besides the name that the Pod API requires, by list. */
const REQUIRED_BY_PODS: Readonly<Record<string, object>> = {
  volumes: { emptyDir: {} },
  volumeMounts: { mountPath: '/a' },
};

/** The smallest value for `name` that has the field at `path`. Rules over several fields are not considered. */
export function smallestWith(node: SchemaNode, name: string, [step, ...rest]: SchemaPath): unknown {
  if (node.items !== undefined) return [smallestWith(node.items, name, rest)];
  if (node.properties === undefined) return valueOf(node);
  const needed = mustBeGiven(node);
  const fields = Object.entries(node.properties)
    .filter(([field]) => field === step || needed.includes(field))
    .map(([field, schema]) => [field, smallestWith(schema, field, field === step ? rest : [])]);
  return { ...Object.fromEntries(fields), ...REQUIRED_BY_PODS[name] };
}

function valueOf({ type, enum: values, minimum, pattern = '' }: SchemaNode): unknown {
  if (values !== undefined) return values[0];
  if (type === 'boolean') return true;
  if (type === 'object') return {};
  return type === 'string' ? TEXTS.find((text) => new RegExp(pattern).test(text)) : (minimum ?? 0) + 1;
}
