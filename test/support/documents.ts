import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { isRecord } from '../../crds/json-schema/node.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The parts of a Markdown file. */
export interface Document {
  /** Path from the project's root. */
  readonly path: string;
  /** Fenced code blocks, by language. */
  readonly blocks: readonly { readonly language: string; readonly text: string }[];
  /** All other lines. */
  readonly prose: readonly string[];
}

const FENCED = /^( *)```(\w*)\n([^]*?)\n\1```$/gm;

/** All documents of the project, including generated ones. */
export function documents(): Document[] {
  return globSync(['*.md', '{docs,examples,test,bench,worker,crds,charts}/**/*.md'], { cwd: ROOT })
    .sort()
    .map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8');
      const blocks = [...text.matchAll(FENCED)].map(([, , language = '', block = '']) => ({ language, text: block }));
      return { path, blocks, prose: text.replaceAll(FENCED, '').split('\n') };
    });
}

/** The code spans in a line. */
export function codeIn(line: string): string[] {
  return [...line.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}

/** The targets of links and images in a line. */
export function linksIn(line: string): string[] {
  return [...line.replaceAll(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

/** The anchors that GitHub generates for the headings. */
export function anchorsOf({ prose }: Document): string[] {
  const headings = prose.flatMap((line) => /^#+ (.+)$/.exec(line)?.[1] ?? []);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The arguments of every `fedbiot …` command in lines of shell, up to a pipe, a comment or a gap of three spaces. */
export function fedbiotCommands(shell: string): string[][] {
  const lines = shell.replaceAll('\\\n', ' ').split('\n');
  return lines.flatMap((line) => {
    const command = /(?:^\s*(?:\$ )?|npx |&& )fedbiot (.+)$/.exec(line)?.[1]?.split(/ #| \| | > | {3}/)[0];
    return command === undefined ? [] : [command.trim().split(/\s+/)];
  });
}

const chartValues: unknown = parse(readFileSync(join(ROOT, 'charts/fedbiot/values.yaml'), 'utf8'));

/** Whether the chart has a value of this dotted name. An empty map may contain any value. */
export function chartValueExists(path: string): boolean {
  let at: unknown = chartValues;
  for (const name of path.split('.')) {
    if (!isRecord(at)) return false;
    if (Object.keys(at).length === 0) return true;
    if (!Object.hasOwn(at, name)) return false;
    at = at[name];
  }
  return true;
}
