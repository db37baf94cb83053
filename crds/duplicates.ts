import { fieldOf, isRecord } from './json-schema/node.ts';
import type { Path, Problem, SchemaNode } from './json-schema/node.ts';

const KEYS = 'x-kubernetes-list-map-keys';

/**
 * List items that have the key fields of an earlier item: the API server refuses them, and JSON Schema cannot express
 * it.
 */
export function duplicates(schema: SchemaNode, value: unknown, path: Path = []): Problem[] {
  if (Array.isArray(value)) {
    const keys = schema[KEYS];
    const key = (item: unknown) => JSON.stringify(keys?.map((name) => (isRecord(item) ? item[name] : undefined)));
    const earlier = new Set<string>();
    return value.flatMap((item, i) => {
      const twice = keys !== undefined && earlier.has(key(item));
      earlier.add(key(item));
      return [
        ...(twice ? [{ path: [...path, i], message: `has the same ${keys.join(' and ')} as an item before it` }] : []),
        ...duplicates(schema.items ?? {}, item, [...path, i]),
      ];
    });
  }
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, field]) =>
    duplicates(fieldOf(schema, name) ?? {}, field, [...path, name]),
  );
}
