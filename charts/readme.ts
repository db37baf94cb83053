import { readFileSync } from 'node:fs';
import { valuesTable } from './values-table.ts';

export const README = new URL('fedbiot/README.md', import.meta.url);

const VALUES = new URL('fedbiot/values.yaml', import.meta.url);
const BEGIN = '<!-- Generated from values.yaml by `npm run generate`. -->\n\n';

/** Replaces the table of values, which ends the README, by the current one. */
export function readmeText(before: string): string {
  const [text] = before.split(BEGIN);
  return `${text}${BEGIN}${valuesTable(readFileSync(VALUES, 'utf8'))}\n`;
}
