import { Settings } from 'typebox/system';
import Value from 'typebox/value';
import { duplicates } from './duplicates.ts';
import { problemsOf } from './messages.ts';
import { tooDeep, tooDeepProblem } from './nesting.ts';
import { violations } from './rules.ts';
import { Job } from './schema/job.ts';
import type { Problem } from './json-schema/node.ts';
import type { DefaultedJob } from './types.ts';
import { onlyKnown } from './unknown-fields.ts';

// TypeBox stops at eight errors by default; users want to see more.
Settings.Set({ maxErrors: 1000 });

/** Maximum number of problems that a message lists; the others are counted. */
export const MAX_SHOWN = 20;

/**
 * The job with the schema's defaults, or everything that is wrong with it: first what the schema says, then the rules.
 */
export function validate(input: unknown): { job: DefaultedJob } | { problems: Problem[] } {
  const depth = tooDeep(input);
  if (depth !== null) return { problems: [tooDeepProblem(depth)] };
  const known = onlyKnown(Job, input);
  const value = Value.Default(Job, known.value);
  const structural = Value.Errors(Job, value).flatMap((error) => problemsOf(error, Job, value));
  const broken = structural.map(({ path }) => path);
  const problems = [...known.problems, ...structural, ...duplicates(Job, value), ...violations(Job, value, broken)];
  return problems.length === 0 && Value.Check(Job, value) ? { job: value } : { problems };
}
