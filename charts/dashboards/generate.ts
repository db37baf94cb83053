/** Writes the chart's dashboards (`npm run generate`). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dashboards } from './dashboards.ts';

const FOLDER = join(import.meta.dirname, '../fedbiot/dashboards');

mkdirSync(FOLDER, { recursive: true });
for (const [name, text] of Object.entries(dashboards())) writeFileSync(join(FOLDER, name), text);
