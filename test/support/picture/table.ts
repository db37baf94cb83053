import Type from 'typebox';
import Value from 'typebox/value';
import { escapeHtml } from '../../../worker/report/escape.ts';
import type { PanelData } from '../dashboards.ts';
import { formatValue } from './format.ts';
import { stepColor } from './looks.ts';
import { theme } from './theme.ts';
import type { Box } from './theme.ts';

const Organize = Type.Object({
  excludeByName: Type.Record(Type.String(), Type.Boolean()),
  indexByName: Type.Record(Type.String(), Type.Number()),
  renameByName: Type.Record(Type.String(), Type.String()),
});
const Steps = Type.Object({
  steps: Type.Array(Type.Object({ value: Type.Union([Type.Number(), Type.Null()]), color: Type.String() })),
});

const LINE = 22;
const LINK = '#1f60c4';

type Cell = string | number;

/** Applies Grafana's transformations merge and organize: rows with the same labels are joined. */
function tableOf({ panel, answers }: PanelData): {
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, Cell>>[];
} {
  const options = Value.Parse(Organize, panel.transformations?.find(({ id }) => id === 'organize')?.options);
  const rows: Record<string, Cell>[] = [];
  for (const { target, series } of answers) {
    const column = answers.length === 1 ? 'Value' : `Value #${target.refId}`;
    for (const { labels, points } of series) {
      const cells: Record<string, Cell> = { ...labels, [column]: points[0]?.[1] ?? NaN };
      const row = rows.find(
        (other) =>
          !(column in other) &&
          Object.entries(labels).every(([name, value]) => !(name in other) || other[name] === value),
      );
      if (row === undefined) rows.push(cells);
      else Object.assign(row, cells);
    }
  }
  const shown = Object.entries(options.indexByName).filter(([name]) => !options.excludeByName[name]);
  const columns = shown.sort(([, a], [, b]) => a - b).map(([name]) => name);
  const named = (name: string) => options.renameByName[name] ?? name;
  return {
    columns: columns.map(named),
    rows: rows.map((row) =>
      Object.fromEntries(columns.flatMap((name) => (row[name] === undefined ? [] : [[named(name), row[name]]]))),
    ),
  };
}

export function tablePicture(data: PanelData, { y, width, height }: Box): string {
  const { columns, rows } = tableOf(data);
  const [{ displayName, desc } = { displayName: '', desc: false }] = data.panel.options?.sortBy ?? [];
  const order = (a: Cell = '', b: Cell = '') =>
    typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b));
  const sorted = [...rows].sort((a, b) => order(a[displayName], b[displayName]) * (desc ? -1 : 1));
  const shown = sorted
    .slice(0, Math.floor((height - LINE) / LINE))
    .map((row) => columns.map((name) => written(data, name, row[name])));
  // Column widths that fit the contents.
  const lengths = columns.map(
    (name, column) => 2 + Math.max(name.length, ...shown.map((cells) => cells[column]?.text.length ?? 0)),
  );
  const letter = (width - 16) / lengths.reduce((sum, length) => sum + length, 0);
  const left = (column: number) => 8 + letter * lengths.slice(0, column).reduce((sum, length) => sum + length, 0);
  const text = (line: number, column: number, { text, color }: Written, weight = 400) =>
    `<text x="${left(column).toFixed(1)}" y="${y + 14 + line * LINE}" font-size="12" font-weight="${weight}" fill="${color}">${escapeHtml(text)}</text>`;
  const head = columns.map((name, column) => text(0, column, { text: name, color: LINK }, 500)).join('');
  const rule = `<path d="M8 ${y + 20}H${width - 8}" stroke="${theme.rule}"/>`;
  return (
    head + rule + shown.flatMap((cells, line) => cells.map((cell, column) => text(line + 1, column, cell))).join('')
  );
}

interface Written {
  readonly text: string;
  readonly color: string;
}

/** A cell with the unit and colour of its column. */
function written({ panel }: PanelData, column: string, cell: Cell | undefined): Written {
  const properties =
    panel.fieldConfig?.overrides
      .filter(({ matcher }) => matcher.options === column)
      .flatMap((override) => override.properties) ?? [];
  const property = (id: string) => properties.find((each) => each.id === id)?.value;
  if (cell === undefined) return { text: '', color: theme.text };
  if (typeof cell === 'string') return { text: cell, color: property('links') === undefined ? theme.text : LINK };
  const [unit, decimals, thresholds] = [property('unit'), property('decimals'), property('thresholds')];
  const color = Value.Check(Steps, thresholds) ? stepColor(thresholds.steps, cell) : null;
  return {
    text: formatValue(cell, String(unit), typeof decimals === 'number' ? decimals : undefined),
    color: color ?? theme.text,
  };
}
