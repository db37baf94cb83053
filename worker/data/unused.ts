import type { UnusedCounts } from './template.ts';

/** Names that are told: a file with a column for each of thousands of things has one message all the same. */
const TOLD = 12;

/** What is told of a file whose records say more than becomes text. */
export function unusedWarning(unused: UnusedCounts, records: number): string {
  const names = [...unused].map(([name, count]) => `${name} (in ${count})`);
  const more = names.length > TOLD ? `, and ${names.length - TOLD} more` : '';
  return `what is not used of ${records} records: ${names.slice(0, TOLD).join(', ')}${more}`;
}
