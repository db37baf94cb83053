import { isMap, isNode, isScalar, parseDocument } from 'yaml';
import type { YAMLMap } from 'yaml';

/** A value of the chart, with the comment above it. */
export interface DescribedValue {
  /** Names, separated by dots. */
  readonly path: string;
  readonly default: unknown;
  readonly description: string;
}

/** Every value in values.yaml that has a comment and contains no value with a comment. */
export function describedValues(yaml: string): DescribedValue[] {
  const { contents } = parseDocument(yaml);
  return isMap(contents) ? valuesIn(contents, '') : [];
}

function valuesIn(map: YAMLMap, parent: string): DescribedValue[] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) return [];
    const path = `${parent}${String(key.value)}`;
    const inner = isMap(value) ? valuesIn(value, `${path}.`) : [];
    // The parser attaches the comment of a map's first key to the map.
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
