import { isAlias, isMap, isScalar, isSeq, Scalar } from 'yaml';
import type { Node, YAMLMap } from 'yaml';
import { MAX_DEPTH, tooDeepMessage } from './nesting.ts';
import { isRecord } from './json-schema/node.ts';
import type { Path } from './json-schema/node.ts';
import { plainNameProblem, plainProblem } from './yaml-scalar.ts';

export interface SyntaxProblem {
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/**
 * Maximum number of values in a manifest after its aliases are expanded: a hundred times as many as in the largest
 * example.
 */
const MAX_VALUES = 50_000;

/** A value, the number of values in it and its depth: an alias repeats all of them. */
interface Built {
  readonly value: unknown;
  readonly values: number;
  readonly height: number;
}

const NOTHING: Built = { value: null, values: 1, height: 0 };

/** The document has more than MAX_VALUES values. */
class TooMany extends Error {}

/** The value of a document and the lines of its fields, read in one pass; the depth of its nodes must be bounded. */
export class YamlValue {
  readonly #lineAt: (offset: number) => number;
  /** The values of anchors; null while a value is not complete. */
  readonly #anchors = new Map<string, Built | null>();
  /** Lines of fields and items, by the object or list that contains them. */
  readonly #lines = new WeakMap<object, ReadonlyMap<string | number, number>>();
  readonly #firstLine: number;
  #values = 0;
  readonly value: unknown;
  readonly problems: SyntaxProblem[] = [];

  /** @param lineAt line of an offset in the text */
  constructor(contents: Node, lineAt: (offset: number) => number) {
    this.#lineAt = lineAt;
    this.#firstLine = this.#lineOf(contents, 1);
    try {
      this.value = this.#build(contents, 1, this.#firstLine).value;
    } catch (error) {
      if (!(error instanceof TooMany)) throw error;
      this.problems.push({
        line: this.#firstLine,
        message: `with its aliases expanded, it holds more than ${MAX_VALUES} values`,
      });
    }
  }

  /** Line (from 1) of the deepest field on `path` that the text contains. */
  lineOf(path: Path): number {
    let [line, value] = [this.#firstLine, this.value];
    for (const step of path) {
      const next = typeof value === 'object' && value !== null ? this.#lines.get(value)?.get(step) : undefined;
      if (next === undefined || typeof value !== 'object' || value === null) break;
      [line, value] = [next, Reflect.get(value, step)];
    }
    return line;
  }

  #lineOf(node: unknown, around: number): number {
    const range = isAlias(node) || isScalar(node) || isMap(node) || isSeq(node) ? node.range : null;
    return range ? this.#lineAt(range[0]) : around;
  }

  #problem(line: number, message: string): Built {
    this.problems.push({ line, message });
    return NOTHING;
  }

  #build(node: unknown, depth: number, around: number): Built {
    const line = this.#lineOf(node, around);
    if (isAlias(node)) return this.#named(node.source, depth, line);
    this.#count(1);
    if (!isScalar(node) && !isMap(node) && !isSeq(node)) return NOTHING;
    const { anchor, tag } = node;
    if (tag !== undefined)
      this.#problem(
        line,
        `the tag ${tag.replace('tag:yaml.org,2002:', '!!')} is not supported: remove it, and quote text`,
      );
    if (anchor !== undefined) this.#anchors.set(anchor, null);
    const built = isScalar(node)
      ? this.#scalar(node, line)
      : isMap(node)
        ? this.#object(node, depth, line)
        : this.#list(node.items, depth, line);
    if (anchor !== undefined) this.#anchors.set(anchor, built);
    return built;
  }

  #count(values: number): void {
    this.#values += values;
    if (this.#values > MAX_VALUES) throw new TooMany();
  }

  #named(anchor: string, depth: number, line: number): Built {
    const built = this.#anchors.get(anchor);
    if (built === undefined) return this.#problem(line, `*${anchor} refers to no anchor before it`);
    if (built === null)
      return this.#problem(line, `*${anchor} is inside the value of &${anchor}, which would be infinite`);
    this.#count(built.values);
    return depth + built.height > MAX_DEPTH ? this.#problem(line, tooDeepMessage()) : built;
  }

  #scalar({ type, source = '', value }: Scalar, line: number): Built {
    const problem = type === Scalar.PLAIN ? plainProblem(source, value) : null;
    return problem === null ? { ...NOTHING, value } : this.#problem(line, problem);
  }

  #list(items: readonly unknown[], depth: number, line: number): Built {
    const parts = items.map((item) => this.#build(item, depth + 1, line));
    return this.#around(
      parts.map(({ value }) => value),
      parts,
      new Map(items.map((item, index) => [index, this.#lineOf(item, line)])),
    );
  }

  #object({ items }: YAMLMap, depth: number, around: number): Built {
    const fields = new Map<string, unknown>();
    const lines = new Map<string, number>();
    const merged = new Set<string>();
    const parts: Built[] = [];
    for (const { key, value } of items) {
      const line = this.#lineOf(key, around);
      const name = this.#nameOf(key, line);
      const part = this.#build(value, depth + 1, line);
      parts.push(part);
      if (name === null) continue;
      if (isScalar(key) && key.type === Scalar.PLAIN && name === '<<') {
        for (const [field, each] of this.#toMerge(part.value, line)) {
          // In YAML 1.2 an explicit field wins wherever it is; for kubectl, the later one wins.
          if (fields.has(field))
            this.#problem(line, `<< would override ${field}, which is set before it: write << first, and only once`);
          fields.set(field, each);
          lines.set(field, line);
          merged.add(field);
        }
        continue;
      }
      if (fields.has(name) && !merged.delete(name))
        this.#problem(line, `${name} is set twice: field names must be unique in an object`);
      fields.set(name, part.value);
      lines.set(name, line);
    }
    return this.#around(Object.fromEntries(fields), parts, lines);
  }

  #nameOf(key: unknown, line: number): string | null {
    const problem = isScalar(key)
      ? key.type === Scalar.PLAIN || typeof key.value !== 'string'
        ? plainNameProblem(key.source ?? '', key.value)
        : null
      : 'a field name must be text';
    if (problem !== null) this.#problem(line, problem);
    return problem === null && isScalar(key) ? String(key.value) : null;
  }

  /** With several objects, the first one that has a field wins. */
  #toMerge(value: unknown, line: number): ReadonlyMap<string, unknown> {
    const sources: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (!sources.every(isRecord)) this.#problem(line, '<< must be an object or a list of objects');
    return new Map(
      sources
        .filter(isRecord)
        .reverse()
        .flatMap((source) => Object.entries(source)),
    );
  }

  #around(value: object, parts: readonly Built[], lines: ReadonlyMap<string | number, number>): Built {
    this.#lines.set(value, lines);
    return {
      value,
      values: parts.reduce((sum, part) => sum + part.values, 1),
      height: parts.reduce((most, { height }) => Math.max(most, height), 0) + 1,
    };
  }
}
