import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  GraphDrawStyle,
  LegendDisplayMode,
  LegendPlacement,
  LineInterpolation,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
  TableSortByFieldStateBuilder,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
  SortOrder,
  TooltipDisplayMode,
} from '@grafana/grafana-foundation-sdk/common';
import { ThresholdsConfigBuilder, ThresholdsMode } from '@grafana/grafana-foundation-sdk/dashboard';
import type {
  DataTransformerConfig,
  DynamicConfigValue,
  Panel,
  Threshold,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as GraphBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import type { Query } from './query.ts';
import { PROMETHEUS } from './variables.ts';

interface Content {
  readonly title: string;
  /** What the panel shows and, if it is not obvious, which values are good. */
  readonly description: string;
  readonly queries: readonly Query[];
  /** In columns of the grid, which has 24. */
  readonly width: number;
  readonly height: number;
}

interface Numbers extends Content {
  /** Id of a Grafana unit. */
  readonly unit: string;
  readonly decimals?: number;
  readonly min?: number;
  readonly max?: number;
  /** Thresholds, each with the colour from its value on; the first value is null. */
  readonly steps?: readonly Threshold[];
}

/** Display properties of the series whose names match. */
export interface Look {
  readonly name: RegExp;
  readonly color?: string;
  readonly dashed?: true;
}

export interface Graph extends Numbers {
  readonly stacked?: true;
  readonly bars?: true;
  /** Draw lines over the gaps between values. */
  readonly connected?: true;
  readonly looks?: readonly Look[];
}

/** Reference ids of a panel's queries; columns refer to them. */
const REFERENCES = 'ABCDEFGHIJKLMNOP';

const target = ({ expr, legend }: Query, index: number) =>
  new DataqueryBuilder().datasource(PROMETHEUS).refId(REFERENCES.charAt(index)).expr(expr).legendFormat(legend);

const thresholds = (steps: readonly Threshold[]) =>
  new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([...steps]);

const PLAIN: readonly Threshold[] = [{ value: null, color: 'text' }];

/** Lines over time. */
export function graph(content: Graph): Builder<Panel> {
  const {
    title,
    description,
    queries,
    width,
    height,
    unit,
    decimals,
    min,
    max,
    stacked,
    bars,
    connected = false,
    looks = [],
  } = content;
  const panel = new GraphBuilder()
    .title(title)
    .description(description)
    .datasource(PROMETHEUS)
    .span(width)
    .height(height)
    .unit(unit)
    .lineInterpolation(LineInterpolation.StepAfter)
    .showPoints(VisibilityMode.Never)
    .lineWidth(2)
    .spanNulls(connected)
    .fillOpacity(bars || stacked ? 60 : 0)
    .drawStyle(bars ? GraphDrawStyle.Bars : GraphDrawStyle.Line)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  if (stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  if (decimals !== undefined) panel.decimals(decimals);
  if (min !== undefined) panel.min(min);
  if (max !== undefined) panel.max(max);
  for (const { name, color, dashed } of looks) {
    const properties: DynamicConfigValue[] = [];
    if (color !== undefined) properties.push({ id: 'color', value: { mode: 'fixed', fixedColor: color } });
    if (dashed) properties.push({ id: 'custom.lineStyle', value: { fill: 'dash', dash: [8, 6] } });
    panel.overrideByRegexp(String(name), properties);
  }
  queries.forEach((query, index) => panel.withTarget(target(query, index).range()));
  return panel;
}

export interface Figure extends Numbers {
  /** Show the names of the current series instead of their values. */
  readonly names?: true;
  /** Show names and values, even for a single query. */
  readonly namesBeside?: true;
  /** Draw a sparkline below the figure. */
  readonly history?: true;
}

/** The last value of each series, large. */
export function figure(content: Figure): Builder<Panel> {
  const {
    title,
    description,
    queries,
    width,
    height,
    unit,
    decimals,
    min,
    max,
    steps = PLAIN,
    names,
    namesBeside = queries.length > 1,
    history,
  } = content;
  const panel = new StatBuilder()
    .title(title)
    .description(description)
    .datasource(PROMETHEUS)
    .span(width)
    .height(height)
    .unit(unit)
    .thresholds(thresholds(steps))
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .graphMode(history ? BigValueGraphMode.Area : BigValueGraphMode.None)
    .colorMode(BigValueColorMode.Value)
    .textMode(names ? BigValueTextMode.Name : namesBeside ? BigValueTextMode.ValueAndName : BigValueTextMode.Auto);
  if (decimals !== undefined) panel.decimals(decimals);
  if (min !== undefined) panel.min(min);
  if (max !== undefined) panel.max(max);
  // A range query would also return series that no longer exist.
  queries.forEach((query, index) =>
    panel.withTarget(names ? target(query, index).instant() : target(query, index).range()),
  );
  return panel;
}

/** A column with the values of a query. */
export interface Column {
  readonly name: string;
  readonly unit: string;
  readonly decimals?: number;
  readonly steps?: readonly Threshold[];
}

export interface Table extends Content {
  /** Labels that become columns, with the columns' names. */
  readonly labels: Readonly<Record<string, string>>;
  /** One column for each query; null for a query that only adds labels. */
  readonly columns: readonly (Column | null)[];
  /** Column that rows are sorted by. */
  readonly sortBy: string;
  readonly descending?: true;
  /** Link of the column's cells. */
  readonly link?: { readonly column: string; readonly title: string; readonly url: string };
}

/** One row for each set of labels, with the current values of the queries. */
export function table(content: Table): Builder<Panel> {
  const { title, description, queries, width, height, labels, columns, sortBy, descending, link } = content;
  const panel = new TableBuilder()
    .title(title)
    .description(description)
    .datasource(PROMETHEUS)
    .span(width)
    .height(height)
    .sortBy([new TableSortByFieldStateBuilder().displayName(sortBy).desc(descending ?? false)]);
  // Grafana names the column of a single query Value, and those of several queries Value #A, Value #B, …
  const valueOf = (index: number) => (queries.length === 1 ? 'Value' : `Value #${REFERENCES.charAt(index)}`);
  const hidden = ['Time', ...columns.flatMap((column, index) => (column === null ? [valueOf(index)] : []))];
  const named = columns.flatMap((column, index) => (column === null ? [] : [[valueOf(index), column.name] as const]));
  const order = [...Object.keys(labels), ...named.map(([value]) => value)];
  const transformations: DataTransformerConfig[] = [
    { id: 'merge', options: {} },
    {
      id: 'organize',
      options: {
        excludeByName: Object.fromEntries(hidden.map((name) => [name, true])),
        indexByName: Object.fromEntries(order.map((name, index) => [name, index])),
        renameByName: { ...labels, ...Object.fromEntries(named) },
      },
    },
  ];
  for (const transformation of transformations) panel.withTransformation(transformation);
  for (const column of columns) {
    if (column === null) continue;
    const { name, unit, decimals, steps } = column;
    const properties: DynamicConfigValue[] = [{ id: 'unit', value: unit }];
    if (decimals !== undefined) properties.push({ id: 'decimals', value: decimals });
    if (steps !== undefined) {
      properties.push(
        { id: 'thresholds', value: { mode: 'absolute', steps } },
        { id: 'custom.cellOptions', value: { type: 'color-text' } },
      );
    }
    panel.overrideByName(name, properties);
  }
  if (link !== undefined)
    panel.overrideByName(link.column, [{ id: 'links', value: [{ title: link.title, url: link.url }] }]);
  queries.forEach((query, index) => panel.withTarget(target(query, index).instant().format(PromQueryFormat.Table)));
  return panel;
}
