import { readFileSync } from 'node:fs';
import t from 'tap';
import { isRecord } from '../../crds/json-schema/node.ts';
import { apiSchema, BASELINE } from '../support/api-schema.ts';
import { incompatibilities } from '../support/schema-compatibility.ts';

type Node = Record<string, unknown>;

const released: unknown = JSON.parse(readFileSync(BASELINE, 'utf8'));

const recordOf = (value: unknown): Node => {
  if (!isRecord(value)) throw new Error('not a record');
  return value;
};

/** A node of a schema, by field names. */
const nodeAt = (schema: Node, path: string): Node =>
  path.split('.').reduce((node, name) => recordOf(recordOf(node['properties'])[name]), schema);

t.test('whatever the last released schema accepts, this one accepts and reads alike', async (t) => {
  t.strictSame(incompatibilities(recordOf(released), apiSchema()), []);
});

const ROUNDS = 'spec.federation.rounds';

/** Changes to a node, each with the expected message. */
const BREAKS: readonly [path: string, change: (node: Node) => void, expected: string][] = [
  ['spec.federation', ({ properties }) => delete recordOf(properties)['rounds'], `${ROUNDS}: the field was removed`],
  ['spec.federation', (node) => (node['required'] = ['quorum']), 'spec.federation: quorum is required now'],
  [ROUNDS, (node) => (node['maximum'] = 2), `${ROUNDS}: maximum was 1000000, is 2`],
  [ROUNDS, (node) => (node['minimum'] = 2), `${ROUNDS}: minimum was 1, is 2`],
  [ROUNDS, (node) => (node['exclusiveMinimum'] = true), `${ROUNDS}: exclusiveMinimum is new`],
  [ROUNDS, (node) => (node['default'] = 3), `${ROUNDS}: the default was 10, is 3`],
  [ROUNDS, (node) => delete node['default'], `${ROUNDS}: the default was 10, is none`],
  [ROUNDS, (node) => (node['type'] = 'string'), `${ROUNDS}: type was "integer", is "string"`],
  ['spec.method', (node) => (node['enum'] = ['FedBiOT']), 'spec.method: the value "FedOT" was removed'],
  ['spec.model.uri', (node) => (node['enum'] = ['here']), 'spec.model.uri: the value "any" was removed'],
  ['metadata.name', (node) => (node['maxLength'] = 3), 'metadata.name: maxLength was 52, is 3'],
  ['spec.model.uri', (node) => (node['pattern'] = '^a'), 'spec.model.uri: pattern was none, is "^a"'],
  [
    'status.conditions',
    ({ items }) => (recordOf(recordOf(recordOf(items)['properties'])['type'])['maxLength'] = 9),
    'status.conditions[].type: maxLength was 316, is 9',
  ],
  ['status.refusals', (node) => delete node['additionalProperties'], 'status.refusals: additionalProperties was'],
];

for (const [path, change, expected] of BREAKS) {
  t.test(`refused: ${expected}`, async (t) => {
    const schema = apiSchema();
    change(nodeAt(schema, path));
    const found = incompatibilities(apiSchema(), schema);
    t.ok(
      found.some((line) => line.startsWith(expected)),
      `found: ${found.join('; ')}`,
    );
  });
}

t.test('what only adds is compatible', async (t) => {
  const schema = apiSchema();
  const federation = nodeAt(schema, 'spec.federation');
  recordOf(federation['properties'])['patience'] = { type: 'integer', default: 1 };
  federation['default'] = { ...recordOf(federation['default']), patience: 1 };
  nodeAt(schema, ROUNDS)['maximum'] = 1e12;
  recordOf(nodeAt(schema, 'spec.method'))['enum'] = ['FedBiOT', 'Newer', 'OffsiteTuning', 'FedOT', 'FullModel'];
  delete nodeAt(schema, 'metadata.name')['pattern'];
  t.strictSame(incompatibilities(apiSchema(), schema), []);
});
