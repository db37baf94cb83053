// The second part of `npm run coverage`: compares c8's measurements with the floors in test/coverage-floors.json.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import floors from './coverage-floors.json' with { type: 'json' };
import { compareWithFloors, coverageProblem, coverageTable, hasCode } from './support/coverage-floors.ts';
import type { Lines } from './support/coverage-floors.ts';

const ROOT = join(import.meta.dirname, '..');

const summary: Record<string, { readonly lines: Lines }> = JSON.parse(
  readFileSync(join(ROOT, 'coverage/coverage-summary.json'), 'utf8'),
);
const files = Object.entries(summary).filter(([path]) => path !== 'total' && hasCode(readFileSync(path, 'utf8')));
const folders = compareWithFloors(new Map(files.map(([path, { lines }]) => [relative(ROOT, path), lines])), floors);
const problems = folders.map(coverageProblem).filter((problem) => problem !== null);

console.log(coverageTable(folders));
if (problems.length > 0) {
  console.error(`\nCoverage fails:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  process.exitCode = 1;
}
