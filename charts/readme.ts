import { readFileSync } from 'node:fs';
import { valuesTable } from './values-table.ts';

export const README = new URL('fedbiot/README.md', import.meta.url);

const VALUES = new URL('fedbiot/values.yaml', import.meta.url);
const BEGIN = '<!-- Generated from values.yaml by `npm run generate`. -->\n\n';

/** The README with the table of values as values.yaml now has it: the last thing in it. */
export function readmeText(before: string): string {
  const [text] = before.split(BEGIN);
  return `${text}${BEGIN}${valuesTable(readFileSync(VALUES, 'utf8'))}\n`;
}
