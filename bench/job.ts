import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { isRecord } from '../crds/json-schema/node.ts';

/** A FedBiOTJob before defaults are applied. */
export type Manifest = Readonly<Record<string, unknown>>;

/**
 * New values of fields, by dotted paths from the root. Undefined removes a field, so that its default applies.
 */
export type Changes = Readonly<Record<string, unknown>>;

const PATHS = ['spec.model.uri', 'spec.data.train.uri', 'spec.data.public.uri', 'spec.data.eval.uri'];

/** Reads a manifest and makes its relative paths absolute, so that variants can be written to any folder. */
export function readManifest(path: string): Manifest {
  const manifest: unknown = parse(readFileSync(path, 'utf8'));
  if (!isRecord(manifest)) throw new Error(`${path} is not a manifest`);
  const local = PATHS.flatMap((field): [string, string][] => {
    const uri = fieldOf(manifest, field);
    return typeof uri === 'string' && !/^[a-z][a-z0-9+.-]+:\/\//i.test(uri)
      ? [[field, resolve(dirname(path), uri)]]
      : [];
  });
  return withFields(manifest, Object.fromEntries(local));
}

export function fieldOf(manifest: Manifest, path: string): unknown {
  return path.split('.').reduce<unknown>((node, name) => (isRecord(node) ? node[name] : undefined), manifest);
}

/** The manifest with some fields changed. */
export function withFields(manifest: Manifest, changes: Changes): Manifest {
  return Object.entries(changes).reduce(
    (changed, [path, value]) => withField(changed, path.split('.'), value),
    manifest,
  );
}

function withField(node: Manifest, [name = '', ...rest]: readonly string[], value: unknown): Manifest {
  const { [name]: child, ...others } = node;
  if (rest.length === 0) return value === undefined ? others : { ...others, [name]: value };
  return { ...others, [name]: withField(isRecord(child) ? child : {}, rest, value) };
}

/** Writes the manifest as JSON, which is valid YAML. */
export function writeManifest(path: string, manifest: Manifest): void {
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
}
