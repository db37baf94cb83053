import { init, use } from 'echarts/core';
import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent } from 'echarts/components';
import { SVGRenderer } from 'echarts/renderers';
import type { PanelData } from '../dashboards.ts';
import type { Window } from '../prometheus.ts';
import { formatValue } from './format.ts';
import { lookOf, nameOf, unitOf } from './looks.ts';
import { theme } from './theme.ts';
import type { Box } from './theme.ts';

use([BarChart, LineChart, GridComponent, LegendComponent, SVGRenderer]);

/** Points of a line in a picture. */
const MOST_POINTS = 80;
/** Names below a graph; Grafana's legend scrolls. */
const MOST_NAMES = 10;

/** Lines or stacked bars over the minutes of the window. */
export function graphPicture({ panel, answers }: PanelData, { x, y, width, height }: Box, window: Window): string {
  const { unit, decimals } = unitOf(panel);
  const { min, max, custom } = panel.fieldConfig?.defaults ?? {};
  const bars = custom?.drawStyle === 'bars';
  const stacked = custom?.stacking !== undefined && custom.stacking.mode !== 'none';
  const named = answers.flatMap(({ target, series }) => series.map((each) => ({ name: nameOf(target, each), points: each.points })));
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: 'sans-serif', color: theme.text },
      grid: { left: 58, right: 12, top: 8, bottom: 44 },
      legend: {
        bottom: 0,
        left: 8,
        itemWidth: 14,
        itemHeight: 3,
        itemGap: 8,
        icon: 'rect',
        textStyle: { color: theme.text, fontSize: 10.5 },
        data: [...new Set(named.map(({ name }) => name))].slice(0, MOST_NAMES),
      },
      xAxis: {
        type: 'value',
        min: 0,
        max: window.to - window.from,
        axisLabel: { color: theme.muted, fontSize: 10, formatter: (at: number) => `${Math.floor(at / 60)}:${String(Math.round(at % 60)).padStart(2, '0')}` },
        axisLine: { lineStyle: { color: theme.rule } },
        axisTick: { show: false },
        splitLine: { lineStyle: { color: theme.rule } },
      },
      yAxis: {
        type: 'value',
        ...(min === undefined ? { scale: true } : { min }),
        ...(max === undefined ? {} : { max }),
        ...(decimals === 0 ? { minInterval: 1 } : {}),
        splitNumber: 4,
        axisLabel: { color: theme.muted, fontSize: 10, formatter: (value: number) => formatValue(value, unit) },
        splitLine: { lineStyle: { color: theme.rule } },
      },
      series: named.map(({ name, points }, index) => {
        const { color, dashed } = lookOf(panel, name, index);
        const data = thinned(points, window).map(([time, value]) => [time, Number.isFinite(value) ? Number(value.toPrecision(5)) : null]);
        const shared = { name, color, silent: true, data, ...(stacked ? { stack: 'all' } : {}) };
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

/** As many points as can be told apart, by the seconds since the window began. */
function thinned(points: readonly (readonly [number, number])[], { from }: Window): (readonly [number, number])[] {
  const every = Math.ceil(points.length / MOST_POINTS);
  return points.filter((_, index) => index % every === every - 1 || index === 0).map(([time, value]) => [Math.round((time - from) * 10) / 10, value] as const);
}

/** Within the picture, without what only a browser's script reads. */
const placed = (svg: string, x: number, y: number) =>
  svg
    .replace(/<style[^>]*>.*?<\/style>/gs, '')
    .replaceAll(/ (?:class|ecmeta_[a-z_]+|pointer-events)="[^"]*"/g, '')
    .replace(/ xmlns(?::\w+)?="[^"]*"/g, '')
    .replace(/^<svg/, `<svg x="${x}" y="${y}"`);
