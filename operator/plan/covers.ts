import { isRecord } from '../../crds/json-schema/node.ts';

/**
 * Whether an existing object has every planned field with its planned value, so that no write is needed. Fields that
 * others have added (defaults, status, labels) are ignored. Lists are compared as a whole.
 */
export function covers(observed: unknown, planned: unknown): boolean {
  if (Array.isArray(planned)) {
    if (!Array.isArray(observed)) return planned.length === 0 && observed === undefined;
    return observed.length === planned.length && planned.every((item, index) => covers(observed[index], item));
  }
  if (isRecord(planned)) {
    // The API server may drop an empty object. An empty and an absent object differ only in a selector, which we never
    // change.
    if (!isRecord(observed)) return Object.keys(planned).length === 0 && observed === undefined;
    return Object.entries(planned).every(([name, value]) => covers(observed[name], value));
  }
  return observed === planned;
}
