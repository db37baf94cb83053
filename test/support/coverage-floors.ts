import { dirname } from 'node:path';
import ts from 'typescript';

/** Number of lines of a file or a folder. */
export interface Lines {
  readonly total: number;
  /** Number of lines that ran. */
  readonly covered: number;
}

/** A folder's coverage and its floor, in percent of lines. Either is null if it does not exist. */
export interface FolderCoverage {
  readonly folder: string;
  readonly percent: number | null;
  readonly floor: number | null;
}

/** Whether a source contains code besides types. A file without code is never loaded. */
export function hasCode(source: string): boolean {
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2024,
      verbatimModuleSyntax: true,
      removeComments: true,
    },
  });
  return outputText.trim() !== 'export {};';
}

/** The coverage of each folder's own files, and its floor, sorted by folder. */
export function compareWithFloors(
  files: ReadonlyMap<string, Lines>,
  floors: Readonly<Record<string, number>>,
): FolderCoverage[] {
  const sums = new Map<string, Lines>();
  for (const [file, { total, covered }] of files) {
    const sum = sums.get(dirname(file)) ?? { total: 0, covered: 0 };
    sums.set(dirname(file), { total: sum.total + total, covered: sum.covered + covered });
  }
  return [...new Set([...sums.keys(), ...Object.keys(floors)])].sort().map((folder) => {
    const sum = sums.get(folder);
    return {
      folder,
      percent: sum === undefined ? null : (100 * sum.covered) / sum.total,
      floor: floors[folder] ?? null,
    };
  });
}

/** One decimal, rounded down, so that a folder below its floor never appears to have reached it. */
const shown = (percent: number) => (Math.floor(percent * 10) / 10).toFixed(1);

/** The problem of a folder; null if there is none. */
export function coverageProblem({ folder, percent, floor }: FolderCoverage): string | null {
  if (percent === null) return `${folder} has a floor and no code: remove its floor`;
  if (floor === null) return `${folder} has no floor: set one, such as ${Math.max(1, Math.floor(percent) - 1)}`;
  if (floor <= 0) return `${folder} has a floor of ${floor}, which never fails: set one above 0`;
  return percent < floor ? `${folder} is below its floor: ${shown(percent)} % of its lines ran, not ${floor} %` : null;
}

/** The folders as a text table. */
export function coverageTable(folders: readonly FolderCoverage[]): string {
  const rows = [
    ['folder', 'lines %', 'floor'],
    ...folders.map(({ folder, percent, floor }) => [
      folder,
      percent === null ? '-' : shown(percent),
      floor === null ? '-' : String(floor),
    ]),
  ];
  const width = Math.max(...folders.map(({ folder }) => folder.length));
  return rows
    .map(
      ([folder = '', percent = '', floor = '']) =>
        `${folder.padEnd(width)} ${percent.padStart(8)} ${floor.padStart(6)}`,
    )
    .join('\n');
}
