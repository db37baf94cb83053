import { writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { customResourceDefinition } from '../../crds/manifest.ts';
import { isRecord } from '../../crds/json-schema/node.ts';

/** The schema of the last release, with which the current schema must stay compatible. */
export const BASELINE = new URL('../fixtures/api/v1alpha1.json', import.meta.url);

/** The CRD's schema without what the compatibility test does not compare: descriptions and rules. */
export function apiSchema(): Record<string, unknown> {
  const [version] = customResourceDefinition().spec.versions;
  const schema: unknown = bare(version?.schema.openAPIV3Schema);
  if (!isRecord(schema)) throw new Error('the CRD has no schema');
  return schema;
}

/** `inFields`: the keys are field names, which may equal a keyword. */
function bare(node: unknown, inFields = false): unknown {
  if (Array.isArray(node)) return node.map((item) => bare(item));
  if (!isRecord(node)) return node;
  const kept = Object.entries(node).filter(
    ([name]) => inFields || (name !== 'description' && name !== 'x-kubernetes-validations'),
  );
  return Object.fromEntries(kept.map(([name, value]) => [name, bare(value, name === 'properties' && !inFields)]));
}

// At a release, `node test/support/api-schema.ts` stores the schema as the new baseline.
if (argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(BASELINE, `${JSON.stringify(apiSchema(), null, 1)}\n`);
}
