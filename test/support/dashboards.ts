import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
import Value from 'typebox/value';
import type { Prometheus, Series, Window } from './prometheus.ts';

export const DASHBOARDS = join(import.meta.dirname, '../../charts/fedbiot/dashboards');

/** The parts of a dashboard's JSON that tests and pictures use. */
const Target = Type.Object({
  refId: Type.String(),
  expr: Type.String(),
  legendFormat: Type.Optional(Type.String()),
  instant: Type.Optional(Type.Boolean()),
  datasource: Type.Object({ type: Type.String(), uid: Type.String() }),
});
const Properties = Type.Array(Type.Object({ id: Type.String(), value: Type.Unknown() }));
const Step = Type.Object({ value: Type.Union([Type.Number(), Type.Null()]), color: Type.String() });
const Panel = Type.Object({
  id: Type.Integer(),
  type: Type.String(),
  title: Type.String(),
  description: Type.Optional(Type.String()),
  gridPos: Type.Object({ x: Type.Number(), y: Type.Number(), w: Type.Number(), h: Type.Number() }),
  datasource: Type.Optional(Type.Object({ type: Type.String(), uid: Type.String() })),
  targets: Type.Optional(Type.Array(Target)),
  transformations: Type.Optional(Type.Array(Type.Object({ id: Type.String(), options: Type.Unknown() }))),
  options: Type.Optional(
    Type.Object({
      textMode: Type.Optional(Type.String()),
      sortBy: Type.Optional(Type.Array(Type.Object({ displayName: Type.String(), desc: Type.Boolean() }))),
    }),
  ),
  fieldConfig: Type.Optional(
    Type.Object({
      defaults: Type.Object({
        unit: Type.Optional(Type.String()),
        decimals: Type.Optional(Type.Number()),
        min: Type.Optional(Type.Number()),
        max: Type.Optional(Type.Number()),
        thresholds: Type.Optional(Type.Object({ steps: Type.Array(Step) })),
        custom: Type.Optional(
          Type.Object({
            drawStyle: Type.Optional(Type.String()),
            spanNulls: Type.Optional(Type.Boolean()),
            stacking: Type.Optional(Type.Object({ mode: Type.String() })),
          }),
        ),
      }),
      overrides: Type.Array(
        Type.Object({ matcher: Type.Object({ id: Type.String(), options: Type.String() }), properties: Properties }),
      ),
    }),
  ),
});
const Dashboard = Type.Object({
  uid: Type.String(),
  title: Type.String(),
  tags: Type.Array(Type.String()),
  links: Type.Array(Type.Object({ type: Type.String() })),
  panels: Type.Array(Panel),
  templating: Type.Object({
    list: Type.Array(
      Type.Object({
        name: Type.String(),
        type: Type.String(),
        query: Type.Unknown(),
        allValue: Type.Optional(Type.String()),
      }),
    ),
  }),
  annotations: Type.Object({
    list: Type.Optional(Type.Array(Type.Object({ name: Type.String(), expr: Type.Optional(Type.String()) }))),
  }),
});
export type Panel = Type.Static<typeof Panel>;
export type Target = Type.Static<typeof Target>;
export type Dashboard = Type.Static<typeof Dashboard>;

export const readDashboard = (name: string): Dashboard =>
  Value.Parse(Dashboard, JSON.parse(readFileSync(join(DASHBOARDS, `${name}.json`), 'utf8')));

/** Rows are panels without queries. */
export const isRow = ({ type }: Panel): boolean => type === 'row';

export type Variables = Readonly<Record<'namespace' | 'job' | 'operator', string>>;

/** Grafana's regular expression for all values. */
export const ALL: Variables = { namespace: '.*', job: '.*', operator: '.*' };

/** An expression as Grafana sends it. `rateInterval`: seconds. */
export function substituted(
  expr: string,
  variables: Variables,
  { from, to, step }: Window,
  rateInterval: number,
): string {
  const range = Math.ceil(to - from);
  const values: Readonly<Record<string, string>> = {
    __rate_interval: `${rateInterval}s`,
    __interval: `${step}s`,
    __range_s: String(range),
    __range: `${range}s`,
    ...variables,
  };
  return expr.replaceAll(/\$(\w+)/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`nothing is known of $${name} in ${expr}`);
    return value;
  });
}

/** The result of one query of a panel. */
export interface Answer {
  readonly target: Target;
  readonly series: readonly Series[];
}

export interface PanelData {
  readonly panel: Panel;
  readonly answers: readonly Answer[];
}

export interface Asking {
  readonly prometheus: Prometheus;
  readonly window: Window;
  readonly variables: Variables;
  readonly rateInterval: number;
}

/** The data that a dashboard would show for the window. */
export async function ask(
  dashboard: Dashboard,
  { prometheus, window, variables, rateInterval }: Asking,
): Promise<PanelData[]> {
  const data: PanelData[] = [];
  for (const panel of dashboard.panels) {
    const answers: Answer[] = [];
    for (const target of panel.targets ?? []) {
      const expr = substituted(target.expr, variables, window, rateInterval);
      const series = target.instant
        ? await prometheus.query(expr, window.to)
        : await prometheus.queryRange(expr, window);
      answers.push({ target, series });
    }
    data.push({ panel, answers });
  }
  return data;
}

/** The queries without data to show. */
export const withoutData = (data: readonly PanelData[]): string[] =>
  data.flatMap(({ panel, answers }) =>
    answers
      .filter(({ series }) => !series.some(({ points }) => points.some(([, value]) => Number.isFinite(value))))
      .map(({ target }) => `${panel.title}: ${target.expr}`),
  );
