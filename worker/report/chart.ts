import { init, use } from 'echarts/core';
import type { EChartsCoreOption } from 'echarts/core';
import { BarChart, CustomChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkLineComponent } from 'echarts/components';
import { SVGRenderer } from 'echarts/renderers';
import { escapeHtml, Markup } from './escape.ts';

use([BarChart, CustomChart, LineChart, GridComponent, LegendComponent, MarkLineComponent, SVGRenderer]);

export interface Figure {
  readonly title: string;
  /** What the figure shows, in a sentence or two, as a paper's caption would. */
  readonly caption: string;
  readonly svg: Markup;
}

/** Width and height of a figure in its own units; the page scales it. */
export const figureSize = { width: 560, height: 300 } as const;

/** The page's colours by name. The style sheet defines their values for light mode, dark mode and print. */
export const ink = {
  text: 'var(--ink)',
  muted: 'var(--muted)',
  rule: 'var(--rule)',
  paper: 'var(--paper)',
  base: 'var(--series-base)',
  blue: 'var(--series-blue)',
  orange: 'var(--series-orange)',
  green: 'var(--series-green)',
  purple: 'var(--series-purple)',
} as const;

/** The style of all axes of the report. */
export function axis(name: string, kind: 'x' | 'y') {
  return {
    name,
    nameLocation: 'middle',
    nameGap: kind === 'x' ? 28 : 46,
    nameTextStyle: { color: ink.muted, fontSize: 13 },
    axisLabel: { color: ink.muted, fontSize: 12, hideOverlap: true },
    axisLine: { show: true, lineStyle: { color: ink.muted } },
    axisTick: { show: kind === 'x', lineStyle: { color: ink.muted } },
    splitLine: { show: kind === 'y', lineStyle: { color: ink.rule } },
  };
}

/** A legend above the plot, for figures of more than one series. */
export function legend(names: readonly string[]) {
  return {
    top: 4,
    left: 60,
    itemGap: 16,
    itemWidth: 24,
    itemHeight: 9,
    textStyle: { color: ink.text, fontSize: 13 },
    data: names,
  };
}

/** An axis of round numbers, which start at 1. */
export function roundAxis(lastRound: number) {
  return { type: 'value', min: 1, max: Math.max(2, lastRound), minInterval: 1, ...axis('Round', 'x') };
}

/** Renders one chart as SVG, without a browser. `description` is the text for screen readers. */
export function renderChart(option: EChartsCoreOption, description: string): Markup {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...figureSize });
  try {
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: 'inherit', color: ink.text },
      grid: { left: 64, right: 20, top: 40, bottom: 46 },
      ...option,
    });
    return new Markup(staticSvg(chart.renderToSVGString({ useViewBox: true }), description));
  } finally {
    // Otherwise the renderer's animation loop keeps the process alive.
    chart.dispose();
  }
}

/** Removes attributes that only echarts' browser script reads (hover styles, data indices), and adds a label. */
function staticSvg(svg: string, description: string): string {
  return svg
    .replace(/<style[^>]*>.*?<\/style>/gs, '')
    .replace(/ (?:class|ecmeta_[a-z_]+|pointer-events)="[^"]*"/g, '')
    .replace(/ xmlns:xlink="[^"]*"/, '')
    .replace(/<svg width="\d+" height="\d+"/, `<svg role="img" aria-label="${escapeHtml(description)}"`);
}
