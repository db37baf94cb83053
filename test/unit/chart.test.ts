import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import packageJson from '../../package.json' with { type: 'json' };
import { isRecord } from '../../crds/json-schema/node.ts';
import { CRD_SPEC, crdSpecText } from '../../charts/crd-spec.ts';
import { README, readmeText } from '../../charts/readme.ts';
import { describedValues } from '../../charts/values-table.ts';

const read = (path: string) => readFileSync(new URL(`../../charts/fedbiot/${path}`, import.meta.url), 'utf8');
const values: unknown = parse(read('values.yaml'));
const schema: unknown = JSON.parse(read('values.schema.json'));
const described = describedValues(read('values.yaml'));

t.test('generated files are up to date', async (t) => {
  t.equal(readFileSync(CRD_SPEC, 'utf8'), crdSpecText(), 'run npm run generate');
  const text = readFileSync(README, 'utf8');
  t.equal(text, readmeText(text), 'run npm run generate');
});

t.test('chart and program have one version', async (t) => {
  const { version, appVersion } = parse(read('Chart.yaml'));
  t.same([version, appVersion], [packageJson.version, packageJson.version]);
});

/** Paths of an object's leaves. Objects without fields, and those that `stop` names, are leaves as well. */
function leaves(value: unknown, isLeaf: (path: string) => boolean, path = ''): string[] {
  if (path !== '' && (!isRecord(value) || Object.keys(value).length === 0 || isLeaf(path))) return [path];
  return isRecord(value)
    ? Object.entries(value).flatMap(([name, child]) => leaves(child, isLeaf, path === '' ? name : `${path}.${name}`))
    : [];
}

t.test('every value is described', async (t) => {
  const known = new Set(described.map(({ path }) => path));
  t.strictSame(
    leaves(values, (path) => known.has(path)),
    described.map(({ path }) => path),
  );
  for (const { path, description } of described) t.match(description, /^[A-Z`].{8,}\.$/, path);
});

t.test('values that the README names exist', async (t) => {
  const groups = Object.keys(isRecord(values) ? values : {}).join('|');
  const names = [...read('README.md').matchAll(new RegExp(`(?:\`|--set '?)((?:${groups})\\b(?:\\.\\w+)*)`, 'g'))].map(
    ([, name = '']) => name,
  );
  t.ok(names.length > 10, `${names.length} names`);
  for (const name of names)
    t.ok(
      described.some(({ path }) => path === name || name.startsWith(`${path}.`)),
      name,
    );
});

t.test('the schema knows every value, and no other', async (t) => {
  const closed = (node: unknown, path: string): string[] => {
    if (!isRecord(node) || !isRecord(node['properties'])) return [path];
    t.equal(node['additionalProperties'], false, `${path || 'the whole'} refuses what it does not know`);
    return Object.entries(node['properties']).flatMap(([name, child]) =>
      closed(child, path === '' ? name : `${path}.${name}`),
    );
  };
  // Helm defines `global`.
  const inSchema = closed(schema, '').filter((path) => path !== 'global');
  t.strictSame(inSchema.sort(), described.map(({ path }) => path).sort());
});
