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
const Steps = Type.Object({ steps: Type.Array(Type.Object({ value: Type.Union([Type.Number(), Type.Null()]), color: Type.String() })) });

const LINE = 22;

type Cell = string | number;

/** What Grafana's transformations merge and organize make of the answers: rows whose labels agree are one. */
export function tableOf({ panel, answers }: PanelData): { readonly columns: readonly string[]; readonly rows: readonly Readonly<Record<string, Cell>>[] } {
  const options = Value.Parse(Organize, panel.transformations?.find(({ id }) => id === 'organize')?.options);
  const rows: Record<string, Cell>[] = [];
  for (const { target, series } of answers) {
    const column = answers.length === 1 ? 'Value' : `Value #${target.refId}`;
    for (const { labels, points } of series) {
      const cells: Record<string, Cell> = { ...labels, [column]: points[0]?.[1] ?? NaN };
      const row = rows.find((other) => !(column in other) && Object.entries(labels).every(([name, value]) => !(name in other) || other[name] === value));
      if (row === undefined) rows.push(cells);
      else Object.assign(row, cells);
    }
  }
  const shown = Object.entries(options.indexByName).filter(([name]) => !options.excludeByName[name]);
  const columns = shown.sort(([, a], [, b]) => a - b).map(([name]) => name);
  const named = (name: string) => options.renameByName[name] ?? name;
  return {
    columns: columns.map(named),
    rows: rows.map((row) => Object.fromEntries(columns.flatMap((name) => (row[name] === undefined ? [] : [[named(name), row[name]]])))),
  };
}

export function tablePicture(data: PanelData, { y, width, height }: Box): string {
  const { columns, rows } = tableOf(data);
  const each = (width - 16) / columns.length;
  const [{ displayName, desc } = { displayName: '', desc: false }] = data.panel.options?.sortBy ?? [];
  const order = (a: Cell = '', b: Cell = '') => (typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b)));
  const sorted = [...rows].sort((a, b) => order(a[displayName], b[displayName]) * (desc ? -1 : 1));
  const text = (line: number, column: number, words: string, fill: string, weight = 400) =>
    `<text x="${(8 + column * each).toFixed(1)}" y="${y + 14 + line * LINE}" font-size="12" font-weight="${weight}" fill="${fill}">${escapeHtml(words)}</text>`;
  const lines = sorted.slice(0, Math.floor((height - LINE) / LINE)).flatMap((row, line) =>
    columns.map((name, column) => {
      const cell = row[name];
      if (cell === undefined) return '';
      const property = (id: string) => data.panel.fieldConfig?.overrides.filter(({ matcher }) => matcher.options === name).flatMap(({ properties }) => properties).find((one) => one.id === id)?.value;
      if (typeof cell === 'string') return text(line + 1, column, cell, property('links') === undefined ? theme.text : '#1f60c4');
      const [unit, decimals, thresholds] = [property('unit'), property('decimals'), property('thresholds')];
      const color = Value.Check(Steps, thresholds) ? stepColor(thresholds.steps, cell) : null;
      return text(line + 1, column, formatValue(cell, String(unit), typeof decimals === 'number' ? decimals : undefined), color ?? theme.text);
    }),
  );
  const rule = `<path d="M8 ${y + 20}H${width - 8}" stroke="${theme.rule}"/>`;
  return columns.map((name, column) => text(0, column, name, '#1f60c4', 500)).join('') + rule + lines.join('');
}
