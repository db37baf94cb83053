import { UserError } from '../../crds/facts/user-error.ts';
import { isNothing, shown } from './json-value.ts';
import type { JsonObject } from './json-value.ts';

/**
 * Fields that a file may have: null for one that is read elsewhere, or that changes nothing of what is computed; else
 * the values that leave the result as it is, as JSON.
 */
export type KnownFields = Readonly<Record<string, readonly string[] | null>>;

/** Fields without a meaning for what is computed here. */
export function harmless(...names: readonly string[]): KnownFields {
  return Object.fromEntries(names.map((name) => [name, null]));
}

/** Fields that mean another computation whatever they hold. */
export function unsupported(...names: readonly string[]): KnownFields {
  return Object.fromEntries(names.map((name) => [name, []]));
}

/**
 * Refuses what would change the result in a way that nobody computes: a field that nobody knows, or a value other than
 * those that leave the result as it is. Null, false and what is empty switch nothing on.
 * @throws UserError naming the file and the field
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
