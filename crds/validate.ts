import { Settings } from 'typebox/system';
import Value from 'typebox/value';
import { duplicates } from './duplicates.ts';
import { problemsOf } from './messages.ts';
import { tooDeep, tooDeepProblem } from './nesting.ts';
import { violations } from './rules.ts';
import { Job } from './schema/job.ts';
import { fieldOf, isRecord } from './schema/node.ts';
import type { Problem, SchemaNode } from './schema/node.ts';
import type { DefaultedJob } from './types.ts';

// TypeBox stops at eight errors by default. A user wants to see them all, though not a million.
Settings.Set({ maxErrors: 1000 });

/** As the API server does before it sets defaults: a known field that is null counts as left out. */
function withoutNulls(schema: SchemaNode, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutNulls(schema.items ?? {}, item));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, field]) => field !== null || fieldOf(schema, name) === undefined)
      .map(([name, field]) => [name, withoutNulls(fieldOf(schema, name) ?? {}, field)]),
  );
}

/** The job with the schema's defaults, or everything that is wrong with it: first what the schema says, then the rules. */
export function validate(input: unknown): { job: DefaultedJob } | { problems: Problem[] } {
  const depth = tooDeep(input);
  if (depth !== null) return { problems: [tooDeepProblem(depth)] };
  const value = Value.Default(Job, withoutNulls(Job, input));
  const structural = Value.Errors(Job, value).flatMap((error) => problemsOf(error, Job, value));
  const broken = structural.map(({ path }) => path);
  const problems = [...structural, ...duplicates(Job, value), ...violations(Job, value, broken)];
  return problems.length === 0 && Value.Check(Job, value) ? { job: value } : { problems };
}
