import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { parse } from 'yaml';
import { CHART } from './chart.ts';

/** The chart's files of RBAC rules. */
export const RULES = [
  'operator',
  'reviews',
  'kueue',
  'lease',
  'job-viewer',
  'job-editor',
  'metrics-reader',
  'test',
] as const;
export type RuleFile = (typeof RULES)[number];

const strings = Type.Array(Type.String());
const Rule = Type.Object({
  apiGroups: Type.Optional(strings),
  resources: Type.Optional(strings),
  resourceNames: Type.Optional(strings),
  nonResourceURLs: Type.Optional(strings),
  verbs: strings,
});
type Rule = Static<typeof Rule>;

export const rulesOf = (name: RuleFile): Rule[] =>
  Value.Parse(Type.Array(Rule), parse(readFileSync(join(CHART, 'files/rbac', `${name}.yaml`), 'utf8')));
