import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, visit } from 'yaml';
import type { Document } from 'yaml';
import type { Path } from './schema/node.ts';

/** One YAML document, and where in the text its fields stand. */
export interface YamlDocument {
  readonly value: unknown;
  /** Line (from 1) of the deepest field on `path` that the text has. */
  lineOf(path: Path): number;
}

export interface SyntaxProblem {
  readonly line: number;
  readonly message: string;
}

function locate(document: Document, counter: LineCounter): YamlDocument['lineOf'] {
  return (path) => {
    let node: unknown = document.contents;
    let offset = document.contents?.range?.[0] ?? 0;
    for (const step of path) {
      if (isAlias(node)) node = node.resolve(document);
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === step);
        if (!isScalar(pair?.key)) break;
        offset = pair.key.range?.[0] ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(step)];
        if (isScalar(node) || isMap(node) || isSeq(node)) offset = node.range?.[0] ?? offset;
      } else break;
    }
    return counter.linePos(offset).line;
  };
}

/** A document of nothing but comments holds an empty scalar. */
const holdsSomething = ({ contents }: Document.Parsed) => contents !== null && !(isScalar(contents) && contents.value === null);

/** Reads a text that must hold exactly one YAML 1.2 document. Anchors and merge keys work; duplicate keys and tags are refused. */
export function readYaml(text: string): YamlDocument | { problems: SyntaxProblem[] } {
  const counter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: counter, merge: true, prettyErrors: false });
  const [document, second] = Array.isArray(documents) ? documents.filter(holdsSomething) : [];
  if (document === undefined) return { problems: [{ line: 1, message: 'the file is empty: it must hold a FedBiOTJob' }] };
  const at = (offset: number) => counter.linePos(offset).line;
  const problems = [...document.errors, ...document.warnings].map(({ pos, message }) => ({ line: at(pos[0]), message }));
  if (second !== undefined) {
    const line = at(second.contents?.range?.[0] ?? 0);
    problems.push({ line, message: 'a second document begins here: a file must hold one FedBiOTJob' });
  }
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) !== undefined) return;
      problems.push({ line: at(alias.range?.[0] ?? 0), message: `*${alias.source} names no anchor that stands before it` });
    },
  });
  if (problems.length > 0) return { problems };
  try {
    return { value: document.toJS(), lineOf: locate(document, counter) };
  } catch {
    return { problems: [{ line: 1, message: 'its aliases unfold to an excessive size' }] };
  }
}
