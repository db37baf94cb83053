import { ITEM, schemaPathText } from './schema-paths.ts';
import type { SchemaPath } from './schema-paths.ts';

interface Recording {
  /** Paths that were read, as schemaPathText writes them. */
  readonly read: Set<string>;
  /**
   * Whether a field counts that is read with all others of its object: by a spread, by its place in Object.keys, or as
   * JSON. What is copied to a pod is used there; what is copied to a manifest or a hash is not.
   */
  readonly copies: boolean;
}

/** An object as it is, whose readers are recorded. */
export function recorded<T extends object>(target: T, recording: Recording, path: SchemaPath = []): T {
  /** Names that were listed, by a spread or by Object.keys, and not read since. */
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
