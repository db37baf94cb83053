import { isRecord } from '../../crds/json-schema/node.ts';

/**
 * Whether an object that exists says all that is planned, so that nothing need be written: every planned field is there
 * with its value. What others have added to it – defaults, status, labels – does not count; lists count as a whole.
 */
export function covers(observed: unknown, planned: unknown): boolean {
  if (Array.isArray(planned)) {
    if (!Array.isArray(observed)) return planned.length === 0 && observed === undefined;
    return observed.length === planned.length && planned.every((item, index) => covers(observed[index], item));
  }
  if (isRecord(planned)) {
    // The API server leaves out an empty object, or keeps it: the two mean the same but in a selector, where we never
    // change one.
    if (!isRecord(observed)) return Object.keys(planned).length === 0 && observed === undefined;
    return Object.entries(planned).every(([name, value]) => covers(observed[name], value));
  }
  return observed === planned;
}
