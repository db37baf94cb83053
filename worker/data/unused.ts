import type { UnusedCounts } from './template.ts';

/** Names in the message at most: a file may have thousands of columns. */
const TOLD = 12;

/** The warning for a file whose records have parts that the text lacks. */
export function unusedWarning(unused: UnusedCounts, records: number): string {
  const names = [...unused].map(([name, count]) => `${name} (in ${count})`);
  const more = names.length > TOLD ? `, and ${names.length - TOLD} more` : '';
  return `what is not used of ${records} records: ${names.slice(0, TOLD).join(', ')}${more}`;
}
