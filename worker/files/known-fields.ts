import { UserError } from '../../crds/facts/user-error.ts';
import { isNothing, shown } from './json-value.ts';
import type { JsonObject } from './json-value.ts';

/**
 * Fields that a file may have. Null for a field that is read elsewhere or does not affect the computation; otherwise
 * the values, as JSON, that do not affect the result.
 */
export type KnownFields = Readonly<Record<string, readonly string[] | null>>;

/** Fields that do not affect the computation. */
export function harmless(...names: readonly string[]): KnownFields {
  return Object.fromEntries(names.map((name) => [name, null]));
}

/** Fields that change the computation, whatever their value. */
export function unsupported(...names: readonly string[]): KnownFields {
  return Object.fromEntries(names.map((name) => [name, []]));
}

/**
 * Refuses settings that would change the result in an unsupported way: unknown fields, and values that affect the
 * result. Null, false and empty values have no effect and are accepted.
 * @throws UserError that names the file and the field
 */
export function refuseUnknownFields(json: JsonObject, known: KnownFields, where: string, hint: string): void {
  for (const [name, value] of Object.entries(json)) {
    if (isNothing(value)) continue;
    if (!Object.hasOwn(known, name))
      throw new UserError(`${where}: the field ${name.slice(0, 80)} (${shown(value)}) is not known`, { hint });
    const allowed = known[name];
    if (allowed && !allowed.includes(shown(value)))
      throw new UserError(`${where}: ${name} ${shown(value)} is not supported`, { hint });
  }
}
