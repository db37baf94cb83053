import { dirname } from 'node:path';
import ts from 'typescript';

/** Lines of a file or of a folder. */
export interface Lines {
  readonly total: number;
  /** Those that ran. */
  readonly covered: number;
}

/** A folder beside its floor; each is null where the other exists alone. Both are percentages of lines. */
export interface FolderCoverage {
  readonly folder: string;
  readonly percent: number | null;
  readonly floor: number | null;
}

/** Whether anything of a source is left when its types are removed. A file without code is never loaded. */
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

/** The coverage of each folder's own files, and its floor, in the order of the folders' names. */
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

/** One decimal, rounded down, so that a folder below its floor never looks as if it had reached it. */
const shown = (percent: number) => (Math.floor(percent * 10) / 10).toFixed(1);

/** What is wrong with a folder; null: nothing. */
export function coverageProblem({ folder, percent, floor }: FolderCoverage): string | null {
  if (percent === null) return `${folder} has a floor and no code: remove its floor`;
  if (floor === null) return `${folder} has no floor: set one, such as ${Math.max(0, Math.floor(percent) - 1)}`;
  return percent < floor ? `${folder} is below its floor: ${shown(percent)} % of its lines ran, not ${floor} %` : null;
}

/** The folders as a table of text. */
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
