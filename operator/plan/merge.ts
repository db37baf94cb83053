import { isRecord } from '../../crds/json-schema/node.ts';

/** Lists of a pod that a strategic merge merges by a key of their items. Any other list is replaced as a whole. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  volumes: 'name',
  env: 'name',
  imagePullSecrets: 'name',
  resourceClaims: 'name',
  claims: 'name',
  volumeMounts: 'mountPath',
  topologySpreadConstraints: 'topologyKey',
  hostAliases: 'ip',
};

/**
 * Kubernetes' strategic merge of `patch` into `base`: objects are merged by field, lists by key, and null removes a
 * field. The arguments are not modified.
 */
export function strategicMerge(base: unknown, patch: unknown, field = ''): unknown {
  if (Array.isArray(patch)) {
    const key = MERGE_KEYS[field];
    return key === undefined || !Array.isArray(base) ? patch : mergeLists(base, patch, key);
  }
  if (!isRecord(patch)) return patch;
  const merged = new Map(isRecord(base) ? Object.entries(base) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, strategicMerge(merged.get(name), value, name));
  }
  return Object.fromEntries(merged);
}

function mergeLists(base: readonly unknown[], patch: readonly unknown[], key: string): unknown[] {
  const keyOf = (item: unknown) => (isRecord(item) ? item[key] : undefined);
  const merged = [...base];
  for (const item of patch) {
    const at = merged.findIndex((other) => keyOf(other) === keyOf(item));
    if (at < 0) merged.push(strategicMerge(undefined, item));
    else merged[at] = strategicMerge(merged[at], item);
  }
  return merged;
}
