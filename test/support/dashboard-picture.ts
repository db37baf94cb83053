import { escapeHtml } from '../../worker/report/escape.ts';
import type { Dashboard, PanelData } from './dashboards.ts';
import { isRow } from './dashboards.ts';
import { graphPicture } from './picture/graph.ts';
import { statPicture } from './picture/stat.ts';
import { tablePicture } from './picture/table.ts';
import { theme } from './picture/theme.ts';
import type { Box } from './picture/theme.ts';
import type { Window } from './prometheus.ts';

/** Size of a cell of the dashboard's grid, and the gap between panels. */
const CELL = { width: 50, height: 30 } as const;
const GAP = 4;
const HEADER = 44;
const TITLE = 26;

/**
 * Draws a dashboard as a picture, with the report's chart library: its grid, and its panels' titles, units, colours and
 * data. It resembles Grafana's rendering of the same JSON. `marks`: the times of its annotations.
 */
export function dashboardPicture(
  dashboard: Dashboard,
  data: readonly PanelData[],
  window: Window,
  marks: readonly number[],
): string {
  const width = 24 * CELL.width;
  const height = HEADER + CELL.height * Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h)) + GAP;
  const parts = data.map((each) => placed(each, window, marks));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="${escapeHtml(dashboard.title)}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif">`,
    `<rect width="${width}" height="${height}" fill="${theme.page}"/>`,
    `<text x="${GAP * 2}" y="28" font-size="17" font-weight="600" fill="${theme.text}">${escapeHtml(dashboard.title)}</text>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function placed({ panel, answers }: PanelData, window: Window, marks: readonly number[]): string {
  const { x, y, w, h } = panel.gridPos;
  const box: Box = {
    x: x * CELL.width + GAP,
    y: HEADER + y * CELL.height + GAP,
    width: w * CELL.width - GAP * 2,
    height: h * CELL.height - GAP,
  };
  if (isRow(panel))
    return `<text x="${box.x}" y="${box.y + 18}" font-size="14" font-weight="600" fill="${theme.text}">${escapeHtml(panel.title)}</text>`;
  const inside: Box = { x: 0, y: TITLE, width: box.width, height: box.height - TITLE };
  return [
    `<g transform="translate(${box.x} ${box.y})">`,
    `<rect width="${box.width}" height="${box.height}" rx="2" fill="${theme.panel}" stroke="${theme.rule}"/>`,
    `<text x="8" y="17" font-size="12.5" font-weight="500" fill="${theme.text}">${escapeHtml(panel.title)}</text>`,
    drawn({ panel, answers }, inside, window, marks),
    '</g>',
  ].join('');
}

function drawn(data: PanelData, box: Box, window: Window, marks: readonly number[]): string {
  switch (data.panel.type) {
    case 'timeseries':
      return graphPicture(data, box, window, marks);
    case 'stat':
      return statPicture(data, box);
    case 'table':
      return tablePicture(data, box);
    default:
      throw new Error(`nothing is known of panels of type ${data.panel.type}`);
  }
}
