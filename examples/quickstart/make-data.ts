/**
 * Writes the quickstart's data, always with the same bytes:
 *
 *   npx node examples/quickstart/make-data.ts --out examples/quickstart/data
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { dataSets } from './data-sets.ts';

const { out } = new Command()
  .requiredOption('--out <directory>', 'where the data is written')
  .parse()
  .opts<{ out: string }>();
mkdirSync(out, { recursive: true });
for (const [name, records] of Object.entries(dataSets())) {
  writeFileSync(join(out, `${name}.jsonl`), records.map((record) => `${JSON.stringify(record)}\n`).join(''));
}
