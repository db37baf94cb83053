import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  RowBuilder,
} from '@grafana/grafana-foundation-sdk/dashboard';
import type { Dashboard, Panel, VariableModel } from '@grafana/grafana-foundation-sdk/dashboard';
import { datasource } from './variables.ts';

/** What links between the dashboards go by. */
const TAG = 'fedbiot';

export interface Row {
  readonly title: string;
  readonly panels: readonly Builder<Panel>[];
}

export interface Page {
  /** Stable: links and bookmarks name it. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly from: string;
  readonly variables: readonly Builder<VariableModel>[];
  readonly rows: readonly Row[];
}

/** Rows of panels, from the left and from above. */
export function dashboardBuilder({ uid, title, description, from, variables, rows }: Page): DashboardBuilder {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .refresh('30s')
    .time({ from, to: 'now' })
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .link(
      new DashboardLinkBuilder('FedBiOT')
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .icon('external link')
        .asDropdown(false)
        .includeVars(true)
        .keepTime(true),
    );
  for (const variable of [datasource(), ...variables]) builder.withVariable(variable);
  for (const row of rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(panel);
  }
  return builder;
}

/** Of Grafana 10.4: nothing newer is used, and a newer one brings it up to date as it loads it. */
const SCHEMA_VERSION = 39;

/** With what Grafana would otherwise choose when it loads it: links to a panel name its number. */
export function finished(builder: DashboardBuilder): Dashboard {
  const dashboard = builder.build();
  const panels = (dashboard.panels ?? []).map((panel, index) => ({ ...panel, id: index + 1 }));
  const links = (dashboard.links ?? []).map(inSight);
  const annotations = { list: (dashboard.annotations.list ?? []).map(inSight) };
  return { ...dashboard, schemaVersion: SCHEMA_VERSION, panels, links, annotations };
}

/** Above the panels, and not in a menu of newer Grafanas, as the library would have it. */
const inSight = <T extends { placement?: unknown }>({ placement: _, ...rest }: T) => rest;
