import { isMap, isNode, isScalar, parseDocument } from 'yaml';
import type { YAMLMap } from 'yaml';

/** A value of the chart that can be set, with what the comment above it says. */
export interface DescribedValue {
  /** With dots between the names. */
  readonly path: string;
  readonly default: unknown;
  readonly description: string;
}

/** Every value in values.yaml that has a comment and no values with comments within it. */
export function describedValues(yaml: string): DescribedValue[] {
  const { contents } = parseDocument(yaml);
  return isMap(contents) ? valuesIn(contents, '') : [];
}

function valuesIn(map: YAMLMap, parent: string): DescribedValue[] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) return [];
    const path = `${parent}${String(key.value)}`;
    const inner = isMap(value) ? valuesIn(value, `${path}.`) : [];
    // The parser gives a map the comment of its first key.
    const comment = key.commentBefore ?? (index === 0 ? map.commentBefore : null);
    if (inner.length > 0 || !comment) return inner;
    return [
      { path, default: isNode(value) ? value.toJSON() : value, description: comment.trim().replaceAll(/\n */g, ' ') },
    ];
  });
}

/** A table in Markdown. */
export function valuesTable(yaml: string): string {
  const rows = describedValues(yaml).map(
    ({ path, default: value, description }) =>
      `| ${path} | ${JSON.stringify(value)} | ${description.replaceAll('|', '\\|')} |`,
  );
  return ['| value | default | |', '| --- | --- | --- |', ...rows].join('\n');
}
