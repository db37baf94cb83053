import Type from 'typebox';
import type { TNull, TObject, TOptional, TSchema, TUnion } from 'typebox';
import type { SchemaNode } from '../json-schema/node.ts';

/** A fact as a field of the status: its fields are optional, and further fields are not allowed. */
export type Mirrored<T extends TSchema> =
  T extends TUnion<[infer Known extends TSchema, TNull]>
    ? Mirrored<Known>
    : T extends TObject<infer Properties>
      ? TObject<{ [Name in keyof Properties]: TOptional<Mirrored<Properties[Name]>> }>
      : T;

/**
 * The schema of a fact that the status mirrors. Fields are optional, as the status grows while the job runs. Facts use
 * null for unknown values; the status omits them, as is the custom in Kubernetes.
 */
export function mirrored<T extends TSchema>(fact: T): Mirrored<T>;
export function mirrored(fact: TSchema): TSchema {
  const known = Type.IsUnion(fact) ? (fact.anyOf.find((schema) => !Type.IsNull(schema)) ?? fact) : fact;
  if (!Type.IsObject(known)) return known;
  const { description = '' }: SchemaNode = known;
  const fields = Object.entries(known.properties).map(([name, field]) => [name, Type.Optional(mirrored(field))]);
  return Type.Object(Object.fromEntries(fields), { description, additionalProperties: false });
}
