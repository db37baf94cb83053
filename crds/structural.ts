import type { SchemaNode } from './json-schema/node.ts';

type Keywords = Record<string, unknown>;

/** Keywords that the API server knows, in the order of the manifest; `x-kubernetes-…` keywords are kept as well. */
const SAME = [
  'description',
  'type',
  'format',
  'enum',
  'default',
  'minLength',
  'maxLength',
  'pattern',
  'minItems',
  'maxItems',
  'maxProperties',
];

function same(node: SchemaNode): Keywords {
  const keywords = new Map<string, unknown>(Object.entries(node));
  const names = [...SAME, ...[...keywords.keys()].filter((name) => name.startsWith('x-kubernetes-'))];
  // Kubernetes expresses two types by a keyword of its own.
  if (Array.isArray(node.type)) keywords.delete('type');
  return Object.fromEntries(names.filter((name) => keywords.has(name)).map((name) => [name, keywords.get(name)]));
}

/** OpenAPI 3.0, which the API server uses, expresses an exclusive bound by a flag beside the bound. */
function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: SchemaNode): Keywords {
  return {
    ...(minimum === undefined ? {} : { minimum }),
    ...(exclusiveMinimum === undefined ? {} : { minimum: exclusiveMinimum, exclusiveMinimum: true }),
    ...(maximum === undefined ? {} : { maximum }),
    ...(exclusiveMaximum === undefined ? {} : { maximum: exclusiveMaximum, exclusiveMaximum: true }),
  };
}

/**
 * Fields that users must give. The schema also requires fields with a default, which the API server fills in first.
 */
export const mustBeGiven = (node: SchemaNode): readonly string[] =>
  (node.required ?? []).filter((name) => node.properties?.[name]?.default === undefined);

function fields(node: SchemaNode): Keywords {
  if (node.properties === undefined) return {};
  const given = mustBeGiven(node);
  return {
    properties: Object.fromEntries(Object.entries(node.properties).map(([name, field]) => [name, structural(field)])),
    ...(given.length === 0 ? {} : { required: given }),
  };
}

/**
 * A schema node as a Kubernetes structural schema. `additionalProperties: false` is dropped, as the API server prunes
 * or refuses unknown fields wherever `properties` are listed; a list of unique items becomes a set.
 */
export function structural(node: SchemaNode): Keywords {
  return {
    ...same(node),
    ...bounds(node),
    ...(node.uniqueItems === true ? { 'x-kubernetes-list-type': 'set' } : {}),
    ...(node.items === undefined ? {} : { items: structural(node.items) }),
    ...fields(node),
    ...(typeof node.additionalProperties === 'object'
      ? { additionalProperties: structural(node.additionalProperties) }
      : {}),
  };
}
