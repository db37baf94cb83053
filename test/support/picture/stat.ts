import { escapeHtml } from '../../../worker/report/escape.ts';
import type { PanelData } from '../dashboards.ts';
import { formatValue } from './format.ts';
import { nameOf, stepColor, unitOf } from './looks.ts';
import { theme } from './theme.ts';
import type { Box } from './theme.ts';

/** Width of a letter relative to its height. */
const LETTER = { bold: 0.7, plain: 0.6 } as const;

/** The last values of all series side by side, with their names if the panel shows them. */
export function statPicture({ panel, answers }: PanelData, { y, width, height }: Box): string {
  const { unit, decimals } = unitOf(panel);
  const mode = panel.options?.textMode ?? 'auto';
  const figures = answers.flatMap(({ target, series }) =>
    series.flatMap((each) => {
      const last = each.points.findLast(([, value]) => Number.isFinite(value))?.[1];
      if (last === undefined) return [];
      const name = nameOf(target, each);
      const text = mode === 'name' ? name : formatValue(last, unit, decimals);
      const color = stepColor(panel.fieldConfig?.defaults.thresholds?.steps ?? [], last) ?? theme.text;
      return [{ text, color, name: mode === 'value_and_name' ? name : null }];
    }),
  );
  const each = width / Math.max(1, figures.length);
  const size = Math.min(
    26,
    (height - 24) / 1.4,
    ...figures.map(({ text }) => (each - 14) / (text.length * LETTER.bold)),
  );
  return figures
    .map(({ text, color, name }, index) => {
      const x = (index + 0.5) * each;
      const middle = y + height / 2;
      const value = `<text x="${round(x)}" y="${round(middle + (name === null ? size / 3 : size / 2 + 4))}" font-size="${round(size)}" font-weight="600" text-anchor="middle" fill="${color}">${escapeHtml(text)}</text>`;
      if (name === null) return value;
      const small = Math.min(12, (each - 8) / (name.length * LETTER.plain));
      return `<text x="${round(x)}" y="${round(middle - 10)}" font-size="${round(small)}" text-anchor="middle" fill="${theme.muted}">${escapeHtml(name)}</text>${value}`;
    })
    .join('');
}

const round = (value: number) => Number(value.toFixed(1));
