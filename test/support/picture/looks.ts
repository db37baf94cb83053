import Type from 'typebox';
import Value from 'typebox/value';
import type { Panel, Target } from '../dashboards.ts';
import type { Series } from '../prometheus.ts';
import { colorAt, colorNamed } from './theme.ts';

/** The displayed name of a series. */
export function nameOf(target: Target, { labels }: Series): string {
  const legend = (target.legendFormat ?? '')
    .replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '')
    .trim();
  return legend === '' ? Object.values(labels).join(' ') : legend;
}

export interface Look {
  readonly color: string;
  readonly dashed: boolean;
}

const Fixed = Type.Object({ mode: Type.Literal('fixed'), fixedColor: Type.String() });

/** How the panel draws a series of this name; `index` is its position. */
export function lookOf({ fieldConfig }: Panel, name: string, index: number): Look {
  let look: Look = { color: colorAt(index), dashed: false };
  for (const { matcher, properties } of fieldConfig?.overrides ?? []) {
    if (matcher.id !== 'byRegexp' || !expression(matcher.options).test(name)) continue;
    for (const { id, value } of properties) {
      if (id === 'color' && Value.Check(Fixed, value)) look = { ...look, color: colorNamed(value.fixedColor) };
      if (id === 'custom.lineStyle') look = { ...look, dashed: true };
    }
  }
  return look;
}

/** From Grafana's notation /…/. */
const expression = (text: string) => new RegExp(text.slice(1, text.lastIndexOf('/')));

/** The colour of a value by the thresholds of a panel or column; null: it has none. */
export function stepColor(
  steps: readonly { readonly value: number | null; readonly color: string }[],
  value: number,
): string | null {
  const step = steps.findLast(({ value: least }) => least === null || value >= least);
  return step === undefined ? null : colorNamed(step.color);
}

/** Unit and decimals of a panel's values. */
export const unitOf = ({ fieldConfig, title }: Panel) => {
  const unit = fieldConfig?.defaults.unit;
  if (unit === undefined) throw new Error(`${title} has no unit`);
  return { unit, decimals: fieldConfig?.defaults.decimals };
};
