import { PRESET, RULES } from './json-schema/fields.ts';
import { GROUP, Job, KIND, VERSION } from './schema/job.ts';
import type { SchemaNode } from './json-schema/node.ts';
import { Status } from './schema/status.ts';
import { mustBeGiven } from './structural.ts';

const code = (value: unknown) => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;

function typeOf(node: SchemaNode): string {
  if (Array.isArray(node.type)) return node.type.join(' or ');
  if (typeof node.additionalProperties === 'object') return `map of ${typeOf(node.additionalProperties)}`;
  if (node.items !== undefined) return `list of ${typeOf(node.items)}`;
  if (node.enum !== undefined) return node.enum.map(code).join(', ');
  const bounds = [
    node.minimum === undefined ? '' : `≥ ${node.minimum}`,
    node.exclusiveMinimum === undefined ? '' : `> ${node.exclusiveMinimum}`,
    node.exclusiveMaximum === undefined ? '' : `< ${node.exclusiveMaximum}`,
    node.maximum === undefined ? '' : `≤ ${node.maximum}`,
  ];
  return [node.type ?? '', ...bounds].filter(Boolean).join(' ');
}

function defaultOf(parent: SchemaNode, name: string, node: SchemaNode): string {
  if (node[PRESET] !== undefined) return node[PRESET];
  if (mustBeGiven(parent).includes(name)) return '**required**';
  if (node.default === undefined) return 'none';
  return node.properties === undefined ? code(node.default) : 'see below';
}

/** The node that has fields: an object, or the items of a list. */
const withFields = (node: SchemaNode): SchemaNode | undefined =>
  [node, node.items].find((candidate) => candidate?.properties !== undefined);

const oneLine = (text: string) => text.replaceAll('|', '\\|');

/** A section for the object at `path`, then one for every object in it. */
function sections(path: string, node: SchemaNode): string[] {
  const fields = Object.entries(node.properties ?? {});
  const rows = fields.map(([name, field]) => {
    const type = withFields(field) === undefined ? typeOf(field) : `[${field.type}](#${anchor(`${path}.${name}`)})`;
    return `| \`${name}\` | ${type} | ${defaultOf(node, name, field)} | ${oneLine(field.description ?? '')} |`;
  });
  const rules = [
    ...(node[RULES] ?? []).map(({ message }) => `- ${message}`),
    ...fields
      .filter(([, field]) => field.properties === undefined)
      .flatMap(([name, field]) => (field[RULES] ?? []).map(({ message }) => `- ${name}: ${message}`)),
  ];
  return [
    `## ${path}\n`,
    `${node.description ?? ''}\n`,
    '| field | type | default | meaning |',
    '| --- | --- | --- | --- |',
    ...rows,
    ...(rules.length === 0 ? [] : ['\nRules:\n', ...rules]),
    '',
    ...fields.flatMap(([name, field]) => {
      const child = withFields(field);
      return child === undefined ? [] : sections(`${path}.${name}`, child);
    }),
  ];
}

/** GitHub's anchor of a heading. */
const anchor = (heading: string) => heading.toLowerCase().replaceAll(/[^\w-]/g, '');

/** The text of docs/api.md. */
export function referenceText(): string {
  return [
    `# ${KIND} (${GROUP}/${VERSION})\n`,
    'Generated from crds/schema by `npm run generate`. Do not edit.\n',
    '`fedbiot run`, `fedbiot validate` and the API server check a manifest against the same schema and the same rules. A default such as',
    '“by method” depends on another field, and can be overridden. The smallest manifest:\n',
    '```yaml',
    `apiVersion: ${GROUP}/${VERSION}`,
    `kind: ${KIND}`,
    'metadata:',
    '  name: my-first-job',
    'spec:',
    '  model: { uri: models/my-model }',
    '  data:',
    '    train: { uri: data/private.jsonl }',
    '    public: { uri: data/public.jsonl }',
    '```\n',
    ...sections('metadata', Job.properties.metadata),
    ...sections('spec', Job.properties.spec),
    ...sections('status', Status),
  ].join('\n');
}
