import { readFileSync } from 'node:fs';
import { Environment } from '@marcbachmann/cel-js';
import t from 'tap';
import { parse } from 'yaml';
import { customResourceDefinition, manifestText } from '../../crds/manifest.ts';
import { referenceText } from '../../crds/reference.ts';
import { violations } from '../../crds/rules.ts';
import { RULES } from '../../crds/json-schema/fields.ts';
import { Job } from '../../crds/schema/job.ts';
import { isRecord } from '../../crds/json-schema/node.ts';
import type { SchemaNode } from '../../crds/json-schema/node.ts';
import { Status } from '../../crds/schema/status.ts';

const committed = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

t.test('generated files are up to date', (t) => {
  t.equal(committed('crds/fedbiotjob.yaml'), manifestText(), 'crds/fedbiotjob.yaml: run npm run generate');
  t.equal(committed('docs/api.md'), referenceText(), 'docs/api.md: run npm run generate');
  t.strictSame(
    parse(manifestText()),
    JSON.parse(JSON.stringify(customResourceDefinition())),
    'the YAML says what was meant',
  );
  t.end();
});

interface Found {
  readonly path: string;
  readonly node: SchemaNode;
}

const nodes = (path: string, node: SchemaNode): Found[] => [
  { path, node },
  ...Object.entries(node.properties ?? {}).flatMap(([name, field]) => nodes(`${path}.${name}`, field)),
  ...(node.items === undefined ? [] : nodes(`${path}[]`, node.items)),
  ...(typeof node.additionalProperties === 'object' ? nodes(`${path}{}`, node.additionalProperties) : []),
];

t.test('every field is described, and bounded where a rule or a list might grow', (t) => {
  for (const { path, node } of [...nodes('job', Job), ...nodes('status', Status)]) {
    t.ok((node.description ?? '').length >= 10, `${path} is described`);
    if (node.type === 'string' && node.enum === undefined) t.ok(node.maxLength, `${path} has a maximal length`);
    if (node.type === 'array') t.ok(node.maxItems, `${path} has a maximal length`);
    if (typeof node.additionalProperties === 'object' && path !== 'job.metadata')
      t.ok(node.maxProperties, `${path} has a maximal size`);
    if (node.type === 'integer') t.type(node.minimum, 'number', `${path} has a minimum`);
  }
  t.end();
});

t.test('nothing in the status has a default', (t) => {
  for (const { path, node } of nodes('status', Status)) t.equal(node.default, undefined, path);
  t.end();
});

t.test('the schema is structural', (t) => {
  // https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
  const allowed = new Set([
    'description', 'type', 'format', 'enum', 'default', 'required', 'properties', 'items', 'minLength', 'maxLength', 'pattern',
    'minItems', 'maxItems', 'maxProperties', 'additionalProperties', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum',
    'x-kubernetes-int-or-string', 'x-kubernetes-preserve-unknown-fields', 'x-kubernetes-validations', 'x-kubernetes-list-type', 'x-kubernetes-list-map-keys',
  ]); // prettier-ignore
  const visit = (path: string, node: Record<string, unknown>) => {
    t.strictSame(
      Object.keys(node).filter((keyword) => !allowed.has(keyword)),
      [],
      `${path}: keywords`,
    );
    t.ok(typeof node['type'] === 'string' || node['x-kubernetes-int-or-string'] === true, `${path} has a type`);
    for (const flag of ['exclusiveMinimum', 'exclusiveMaximum'])
      t.ok((node[flag] ?? true) === true, `${path}: ${flag} is a flag`);
    for (const [name, child] of Object.entries(node['properties'] ?? {})) visit(`${path}.${name}`, child);
    if (isRecord(node['items'])) visit(`${path}[]`, node['items']);
    if (isRecord(node['additionalProperties'])) visit(`${path}{}`, node['additionalProperties']);
  };
  const crd = parse(manifestText());
  t.match(crd, {
    metadata: { name: 'fedbiotjobs.fedbiot.io' },
    spec: {
      scope: 'Namespaced',
      names: { plural: 'fedbiotjobs', kind: 'FedBiOTJob', shortNames: ['fbj'], categories: ['all'] },
    },
  });
  const [version] = crd.spec.versions;
  visit('job', version.schema.openAPIV3Schema);
  t.strictSame(version.subresources, { status: {} });
  t.strictSame(
    customResourceDefinition().spec.versions[0]?.additionalPrinterColumns.map(({ name, priority }) =>
      priority ? `${name} wide` : name,
    ),
    ['Phase', 'Round', 'Clients', 'ClientPods', 'AdapFu', 'AdapEmu', 'Age',
     ...['Method', 'Base', 'Alignment', 'Local', 'Dropped', 'Refused', 'Message'].map((name) => `${name} wide`)], // prettier-ignore
  );
  t.end();
});

t.test('only fields without a default are required', (t) => {
  const required = (path: string, node: SchemaNode): string[] => [
    ...(node.required ?? []).map((name) => `${path}.${name}`),
    ...Object.entries(node.properties ?? {}).flatMap(([name, field]) => required(`${path}.${name}`, field)),
  ];
  t.strictSame(required('spec', parse(manifestText()).spec.versions[0].schema.openAPIV3Schema.properties.spec), [
    'spec.model',
    'spec.data',
    'spec.model.uri',
    'spec.data.train',
    'spec.data.train.uri',
    'spec.data.public.uri',
    'spec.data.eval.uri',
    ...['model', 'publicData', 'clientData'].flatMap((volume) =>
      ['persistentVolumeClaim.claimName', 'hostPath.path', 'image.reference'].map(
        (field) => `spec.volumes.${volume}.${field}`,
      ),
    ),
    'spec.volumes.output.persistentVolumeClaim.claimName',
    'spec.volumes.output.hostPath.path',
    'spec.redis.urlFrom',
    'spec.redis.urlFrom.name',
    'spec.redis.tls.caSecret',
    'spec.redis.tls.caSecret.name',
  ]);
  t.end();
});

t.test(
  'defaults keep the rules by themselves: the API server judges them before it fills in what they leave out',
  (t) => {
    const defaults = nodes('job', Job).filter(({ node }) => node.default !== undefined);
    t.ok(defaults.length > 50);
    for (const { path, node } of defaults) t.strictSame(violations(node, node.default, []), [], path);
    t.end();
  },
);

t.test('rules see integers and numbers as the API server does', (t) => {
  const rules = [{ rule: 'self.whole / 2 == 1 && self.half * 2.0 == 1.0', message: 'no' }];
  const schema = {
    type: 'object',
    properties: { whole: { type: 'integer' }, half: { type: 'number' } },
    [RULES]: rules,
  };
  t.strictSame(violations(schema, { whole: 3, half: 0.5 }, []), [], 'integer division');
  t.strictSame(violations(schema, { whole: 4, half: 0.5 }, []), [{ path: [], message: 'no' }]);
  t.end();
});

t.test('rules parse, have a message, and name an existing field', (t) => {
  const environment = new Environment({ unlistedVariablesAreDyn: true });
  const all = nodes('job', Job).flatMap(({ path, node }) => (node[RULES] ?? []).map((rule) => ({ path, node, rule })));
  t.ok(all.length >= 10);
  for (const { path, node, rule } of all) {
    t.doesNotThrow(() => environment.parse(rule.rule), `${path}: ${rule.rule}`);
    t.notMatch(rule.message, /\n/, 'the API server wants one line');
    const blamed = (rule.fieldPath ?? '').split('.').filter(Boolean);
    t.ok(
      blamed.reduce<SchemaNode | undefined>((at, name) => at?.properties?.[name], node),
      `${path}${rule.fieldPath ?? ''} exists`,
    );
  }
  t.end();
});
