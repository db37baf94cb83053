import { init, use } from 'echarts/core';
import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkLineComponent } from 'echarts/components';
import { SVGRenderer } from 'echarts/renderers';
import type { PanelData } from '../dashboards.ts';
import type { Window } from '../prometheus.ts';
import { formatValue } from './format.ts';
import { lookOf, nameOf, unitOf } from './looks.ts';
import { theme } from './theme.ts';
import type { Box } from './theme.ts';

use([BarChart, LineChart, GridComponent, LegendComponent, MarkLineComponent, SVGRenderer]);

/** Maximum number of points of a line. */
const MAX_POINTS = 80;
/** Maximum number of names below a graph; Grafana's legend scrolls instead. */
const MAX_NAMES = 10;

const LEGEND = { line: 17, symbol: 14, gap: 16, letter: 6.4 } as const;

/** Lines or stacked bars over the minutes of the window. `marks`: times of vertical lines. */
export function graphPicture(
  { panel, answers }: PanelData,
  { x, y, width, height }: Box,
  window: Window,
  marks: readonly number[],
): string {
  const { unit, decimals } = unitOf(panel);
  const { min, max, custom } = panel.fieldConfig?.defaults ?? {};
  const bars = custom?.drawStyle === 'bars';
  const stacked = custom?.stacking !== undefined && custom.stacking.mode !== 'none';
  const named = answers.flatMap(({ target, series }) =>
    series.map((each) => ({ name: nameOf(target, each), points: each.points })),
  );
  const names = [...new Set(named.map(({ name }) => name))].slice(0, MAX_NAMES);
  const legendHeight = LEGEND.line + (linesOf(names, width - 16) - 1) * (LEGEND.line + LEGEND.gap / 2);
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: 'sans-serif', color: theme.text },
      grid: { left: 58, right: 12, top: 8, bottom: 24 + legendHeight },
      legend: {
        bottom: 0,
        left: 8,
        width: width - 16,
        itemWidth: LEGEND.symbol,
        itemHeight: 3,
        itemGap: LEGEND.gap,
        icon: 'rect',
        textStyle: { color: theme.text, fontSize: 10.5 },
        data: names,
      },
      xAxis: {
        type: 'value',
        min: 0,
        max: window.to - window.from,
        axisLabel: {
          color: theme.muted,
          fontSize: 10,
          formatter: (at: number) => `${Math.floor(at / 60)}:${String(Math.round(at % 60)).padStart(2, '0')}`,
        },
        axisLine: { lineStyle: { color: theme.rule } },
        axisTick: { show: false },
        splitLine: { lineStyle: { color: theme.rule } },
      },
      yAxis: {
        type: 'value',
        ...(min === undefined ? { scale: true } : { min }),
        ...(max === undefined ? {} : { max, interval: max / 4 }),
        ...(decimals === 0 ? { minInterval: 1 } : {}),
        splitNumber: 4,
        axisLabel: { color: theme.muted, fontSize: 10, formatter: (value: number) => formatValue(value, unit) },
        splitLine: { lineStyle: { color: theme.rule } },
      },
      series: named.map(({ name, points }, index) => {
        const { color, dashed } = lookOf(panel, name, index);
        const data = thinned(points, window).map(([time, value]) => [
          time,
          Number.isFinite(value) ? Number(value.toPrecision(5)) : null,
        ]);
        const shared = {
          name,
          color,
          silent: true,
          data,
          ...(stacked ? { stack: 'all' } : {}),
          ...(index === 0 ? { markLine: lines(marks, window) } : {}),
        };
        return bars
          ? { ...shared, type: 'bar', barWidth: 3 }
          : {
              ...shared,
              type: 'line',
              step: 'end',
              connectNulls: custom?.spanNulls ?? false,
              showSymbol: false,
              lineStyle: { width: 1.8, type: dashed ? 'dashed' : 'solid' },
              ...(stacked ? { areaStyle: { opacity: 0.5 } } : {}),
            };
      }),
    });
    return placed(chart.renderToSVGString(), x, y);
  } finally {
    // Otherwise the renderer's animation loop keeps the process alive.
    chart.dispose();
  }
}

/** The number of lines of a legend, from the average width of a letter. */
function linesOf(names: readonly string[], width: number): number {
  let [lines, at] = [1, 0];
  for (const name of names) {
    const each = LEGEND.symbol + LEGEND.gap + name.length * LEGEND.letter;
    if (at > 0 && at + each > width) [lines, at] = [lines + 1, 0];
    at += each;
  }
  return lines;
}

const lines = (marks: readonly number[], { from }: Window) => ({
  symbol: 'none',
  silent: true,
  label: { show: false },
  lineStyle: { color: theme.muted, width: 0.7, type: 'dashed', opacity: 0.7 },
  data: marks.map((mark) => ({ xAxis: mark - from })),
});

/** The points that can be distinguished, by seconds since the start of the window. */
function thinned(points: readonly (readonly [number, number])[], { from }: Window): (readonly [number, number])[] {
  const every = Math.ceil(points.length / MAX_POINTS);
  return points
    .filter((_, index) => index % every === every - 1 || index === 0)
    .map(([time, value]) => [Math.round((time - from) * 10) / 10, value] as const);
}

/** Places the SVG in the picture, without attributes that only a browser's script reads. */
const placed = (svg: string, x: number, y: number) =>
  svg
    .replace(/<style[^>]*>.*?<\/style>/gs, '')
    .replaceAll(/ (?:class|ecmeta_[a-z_]+|pointer-events)="[^"]*"/g, '')
    .replace(/ xmlns(?::\w+)?="[^"]*"/g, '')
    .replace(/^<svg/, `<svg x="${x}" y="${y}"`);
