// Compares the table of folders in docs/architecture.md with the imports of all code, including types.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { brokenRules, fileCycles, folderRows } from '../support/folder-rules.ts';
import type { Edge } from '../support/folder-rules.ts';
import { importsOf } from '../support/import-graph.ts';

const ROOT = join(import.meta.dirname, '../..');

/** All code except tests. Of these, only the files that benchmarks import are included (below). */
const CODE = '{crds,worker,operator,charts,docker,bench,examples}/**/*.{ts,js}';

const code = globSync(CODE, { cwd: ROOT }).sort();
const edgesOf = (files: readonly string[]): Edge[] =>
  files.flatMap((from) =>
    importsOf(join(ROOT, from))
      .filter(({ specifier }) => /^\..*\.[tj]s$/.test(specifier))
      .map(({ line, specifier }) => ({ from, line, specifier, to: join(dirname(from), specifier) })),
  );
const edges = edgesOf(code);
const shared = [...new Set(edges.map(({ to }) => to).filter((to) => to.startsWith('test/')))];

t.test('folders import what the table in docs/architecture.md allows them', async (t) => {
  const rows = folderRows(readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8'));
  t.same(brokenRules(rows, [...code, ...shared], edges), []);
});

t.test('no files import each other', async (t) => {
  t.same(fileCycles(code, edges), []);
});

t.test('violations of the table are reported', async (t) => {
  const table = (...rows: string[]) =>
    folderRows(['| folder | knows | may import |', '| --- | --- | --- |', ...rows, '', 'More text.'].join('\n'));
  const rows = table('| low | numbers | – |', '| low/one.ts | one | low |', '| high | all | low, low/one.ts |');
  const files = ['low/two.ts', 'low/one.ts', 'high/top.ts'];
  const edge = (from: string, to: string): Edge => ({ from, to, line: 7, specifier: `../${to}` });
  const right = [
    edge('high/top.ts', 'low/two.ts'),
    edge('high/top.ts', 'low/one.ts'),
    edge('low/one.ts', 'low/two.ts'),
  ];

  t.same(brokenRules(rows, files, right), []);
  t.same(
    brokenRules(rows, files, [...right, edge('low/two.ts', 'high/top.ts')]),
    ["low/two.ts:7 imports '../high/top.ts': low may not import high"],
    'the import itself is named',
  );
  t.same(brokenRules(rows, files, right.slice(1)), ['high may import low, and does not']);
  t.same(brokenRules(rows, [...files, 'other/new.ts'], right), ['other/new.ts is in a folder without a row']);
  t.same(brokenRules([...rows, { path: 'gone', mayImport: [] }], files, right), ['gone is a row without files']);
  t.same(brokenRules([...rows, ...table('| low | again | – |')], files, right), ['low has two rows']);
  t.same(
    brokenRules(
      table('| low | numbers | high |', '| high | all | low |'),
      ['low/two.ts', 'high/top.ts'],
      [edge('low/two.ts', 'high/top.ts'), edge('high/top.ts', 'low/two.ts')],
    ),
    ['low may import high, which is no row above it'],
    'folders in a circle',
  );
  t.throws(() => folderRows('| folder | knows |'), 'no table with the columns folder, knows and may import');
});

t.test('a cycle of files is reported as a path', async (t) => {
  const edge = (from: string, to: string): Edge => ({ from, to, line: 1, specifier: to });
  const line = [edge('a.ts', 'b.ts'), edge('b.ts', 'c.ts')];
  t.same(fileCycles(['a.ts', 'b.ts', 'c.ts'], line), []);
  t.same(fileCycles(['a.ts', 'b.ts', 'c.ts'], [...line, edge('c.ts', 'b.ts')]), ['b.ts > c.ts > b.ts']);
});
