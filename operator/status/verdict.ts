import type { Outcome } from '../objects/outcome.ts';

/** A policy's decision about a job: how it ends, or in how many milliseconds to ask again; null: no decision. */
export type Verdict = { readonly outcome: Outcome } | { readonly askAgainMs: number } | null;

/** The smallest non-null time, or null. */
export function soonest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}
