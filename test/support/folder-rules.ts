import { dirname } from 'node:path';

/** A row of the table of folders: the files directly in a folder, or one file, and the rows that these may import. */
export interface FolderRow {
  readonly path: string;
  readonly mayImport: readonly string[];
}

/** An import between two files of the project. Paths start at the project's root. */
export interface Edge {
  readonly from: string;
  readonly line: number;
  readonly specifier: string;
  readonly to: string;
}

/**
 * The rows of the table with the columns folder, knows and may import, from top to bottom.
 * @throws Error if the document has no such table
 */
export function folderRows(markdown: string): FolderRow[] {
  const lines = markdown.split('\n');
  const header = lines.findIndex((line) => /^\| folder \| knows \| may import \|$/.test(line));
  if (header === -1) throw new Error('no table with the columns folder, knows and may import');
  const body = lines.slice(header + 2);
  const end = body.findIndex((line) => !line.startsWith('|'));
  return body.slice(0, end === -1 ? undefined : end).map((line) => {
    const cells = line.split('|').map((cell) => cell.trim());
    const names = (cells[3] ?? '').split(',').map((name) => name.trim());
    return { path: cells[1] ?? '', mayImport: names.filter((name) => name !== '–') };
  });
}

/** The row that a file belongs to: its own, or that of its folder. */
function rowOf(rows: readonly FolderRow[], file: string): FolderRow | undefined {
  return rows.find(({ path }) => path === file) ?? rows.find(({ path }) => path === dirname(file));
}

/**
 * The differences between the table and the code, one line each. A row may import only rows above it, which excludes
 * cycles of folders, and every permission must be used.
 * @param files all files that the table covers
 */
export function brokenRules(rows: readonly FolderRow[], files: readonly string[], edges: readonly Edge[]): string[] {
  const broken: string[] = [];
  const known = new Set<string>();
  for (const { path, mayImport } of rows) {
    if (known.has(path)) broken.push(`${path} has two rows`);
    for (const name of mayImport)
      if (!known.has(name)) broken.push(`${path} may import ${name}, which is no row above it`);
    known.add(path);
    if (!files.some((file) => file === path || dirname(file) === path)) broken.push(`${path} is a row without files`);
  }
  for (const file of files) if (rowOf(rows, file) === undefined) broken.push(`${file} is in a folder without a row`);
  const used = new Set<string>();
  for (const { from, line, specifier, to } of edges) {
    const importer = rowOf(rows, from);
    const imported = rowOf(rows, to);
    if (importer === undefined || imported === undefined || importer === imported) continue;
    used.add(`${importer.path} may import ${imported.path}`);
    if (!importer.mayImport.includes(imported.path))
      broken.push(`${from}:${line} imports '${specifier}': ${importer.path} may not import ${imported.path}`);
  }
  for (const { path, mayImport } of rows)
    for (const name of mayImport)
      if (!used.has(`${path} may import ${name}`)) broken.push(`${path} may import ${name}, and does not`);
  return broken;
}

/**
 * Cycles of files that import each other, directly or indirectly. Each cycle appears once, as a path that ends where it
 * begins.
 */
export function fileCycles(files: readonly string[], edges: readonly Edge[]): string[] {
  const imports = Map.groupBy(edges, ({ from }) => from);
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    if (at !== -1) cycles.push([...path.slice(at), file].join(' > '));
    if (at !== -1 || done.has(file)) return;
    for (const to of new Set(imports.get(file)?.map((edge) => edge.to))) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return cycles;
}
