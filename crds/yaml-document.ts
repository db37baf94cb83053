import { Composer, isScalar, Lexer, LineCounter, Parser } from 'yaml';
import type { CST, Document } from 'yaml';
import { MAX_DEPTH, tooDeepMessage } from './nesting.ts';
import type { Path } from './json-schema/node.ts';
import { YamlValue } from './yaml-value.ts';
import type { SyntaxProblem } from './yaml-value.ts';

/** One YAML document, and the lines of its fields. */
export interface YamlDocument {
  readonly value: unknown;
  /** Line (from 1) of the deepest field on `path` that the text contains. */
  lineOf(path: Path): number;
}

/** etcd stores objects of at most 1.5 MiB, as JSON with their metadata. */
const MAX_CHARACTERS = 1024 * 1024;

/** Characters that YAML never allows, a lone carriage return, and line breaks of YAML 1.1 that 1.2 does not know. */
const UNREADABLE = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029\ufffe\uffff]|\r(?!\n)/;

/** Maximum number of syntax errors reported: most that follow the first are its consequence. */
const MAX_SYNTAX_ERRORS = 20;

/** A document that has only comments holds an empty scalar. */
const holdsSomething = ({ contents }: Document.Parsed) =>
  contents !== null && !(isScalar(contents) && contents.value === null);

/**
 * Reads a text that must contain exactly one document with the same meaning in YAML 1.1 (kubectl) and YAML 1.2. Anchors
 * and merge keys are supported; tags, directives and duplicate fields are refused. Time and memory are bounded for any
 * text.
 */
export function readYaml(text: string): YamlDocument | { problems: readonly SyntaxProblem[] } {
  if (text.length > MAX_CHARACTERS)
    return refused(1, `the file has ${text.length} characters; a manifest may have at most ${MAX_CHARACTERS}`);
  const unreadable = UNREADABLE.exec(text);
  if (unreadable !== null)
    return refused(text.slice(0, unreadable.index).split('\n').length, characterProblem(unreadable[0]));

  const bracket = deepBracket(text);
  if (bracket !== null) return refused(text.slice(0, bracket).split('\n').length, tooDeepMessage());

  const counter = new LineCounter();
  const at = (offset: number) => counter.linePos(offset).line;
  const tokens = [...new Parser(counter.addNewLine).parse(text)];
  const deep = tooDeepAt(tokens);
  if (deep !== null) return refused(at(deep), tooDeepMessage());
  const directive = tokens.find(({ type }) => type === 'directive');
  if (directive !== undefined)
    return refused(at(directive.offset), 'directives (lines that begin with %) are not supported: remove it');

  // For text that is not YAML, the composer would create an error for each character.
  const broken = tokens.find((token) => token.type === 'error');
  if (broken !== undefined) return refused(at(broken.offset), broken.message);

  const [document, second] = composed(tokens);
  if (document?.contents === undefined || document.contents === null)
    return refused(1, 'the file is empty: it must hold a FedBiOTJob');
  const syntax = [...document.errors, ...document.warnings]
    .slice(0, MAX_SYNTAX_ERRORS)
    .map(({ pos, message }) => ({ line: at(pos[0]), message }));
  if (second !== undefined)
    syntax.push({
      line: at(second.contents?.range?.[0] ?? 0),
      message: 'a second document begins here: a file must hold one FedBiOTJob',
    });
  if (syntax.length > 0) return { problems: syntax };
  const read = new YamlValue(document.contents, at);
  const { problems, value } = read;
  return problems.length > 0 ? { problems } : { value, lineOf: (path) => read.lineOf(path) };
}

/** The first two documents that are invalid or not empty. */
function composed(tokens: readonly CST.Token[]): readonly Document.Parsed[] {
  const documents: Document.Parsed[] = [];
  const { stackTraceLimit } = Error;
  // The composer creates an Error for each mistake; capturing the stacks, which nobody reads, takes most of the time.
  Error.stackTraceLimit = 0;
  try {
    // Duplicate fields are found when the document is read: the composer's check is slow with many fields.
    for (const each of new Composer({ uniqueKeys: false, prettyErrors: false }).compose(tokens)) {
      if (holdsSomething(each) || each.errors.length > 0) documents.push(each);
      if (documents.length === 2) break;
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return documents;
}

const refused = (line: number, message: string) => ({ problems: [{ line, message }] });

function characterProblem(character: string): string {
  const code = `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
  return `the character ${code} is not allowed here: remove it, or write it as an escape in double quotes`;
}

/** Marks that the lexer inserts between tokens. */
const MARKS = new Set(['\x02', '\x18', '\x1f']);

/** Offset of the first bracket that is nested too deep, found before parsing; null if there is none. */
function deepBracket(text: string): number | null {
  let [offset, depth] = [0, 0];
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') depth++;
    else if (token === ']' || token === '}') depth--;
    if (depth > MAX_DEPTH + 1) return offset;
    if (!MARKS.has(token)) offset += token.length;
  }
  return null;
}

/** Offset of the first node nested too deep; null if there is none. Unlike the composer, it does not recurse. */
function tooDeepAt(tokens: readonly CST.Token[]): number | null {
  const open = tokens.map((token): [CST.Token, number] => [token, 0]);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [token, depth] = next;
    if (depth > MAX_DEPTH) return token.offset;
    if (token.type === 'document') {
      if (token.value !== undefined) open.push([token.value, depth]);
    } else if ('items' in token) {
      for (const { key, value } of token.items) for (const each of [key, value]) if (each) open.push([each, depth + 1]);
    }
  }
  return null;
}
