import { ITEM, schemaPathText } from './schema-paths.ts';
import type { SchemaPath } from './schema-paths.ts';

interface Recording {
  /** Paths of fields that were read, as schemaPathText writes them. */
  readonly read: Set<string>;
  /**
   * Whether a field counts as read when all fields of its object are read: by a spread, by Object.keys, or as JSON. A
   * copy into a pod uses the field; a copy into a manifest or a hash does not.
   */
  readonly copies: boolean;
}

/** Wraps an object to record which of its fields are read. */
export function recorded<T extends object>(target: T, recording: Recording, path: SchemaPath = []): T {
  /** Fields that a spread or Object.keys has listed and that were not read since. */
  let listed = new Set<string | symbol>();
  return new Proxy(target, {
    ownKeys: () => {
      const names = Reflect.ownKeys(target);
      listed = new Set(names);
      return names;
    },
    get: (_, name) => {
      const isCopy = listed.delete(name);
      if (name === 'toJSON') return recording.copies ? undefined : () => target;
      const value: unknown = Reflect.get(target, name);
      if (typeof name === 'symbol' || typeof value === 'function' || (Array.isArray(target) && name === 'length'))
        return value;
      const at = [...path, Array.isArray(target) ? ITEM : name];
      if (recording.copies || !isCopy) recording.read.add(schemaPathText(at));
      return typeof value === 'object' && value !== null ? recorded(value, recording, at) : value;
    },
  });
}
