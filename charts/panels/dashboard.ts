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

/** Links between the dashboards select them by this tag. */
const TAG = 'fedbiot';

export interface Row {
  readonly title: string;
  readonly panels: readonly Builder<Panel>[];
}

export interface Page {
  /** Must not change: links and bookmarks contain it. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly from: string;
  readonly variables: readonly Builder<VariableModel>[];
  readonly rows: readonly Row[];
}

/** Places rows from top to bottom, and their panels from left to right. */
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

/** Schema of Grafana 10.4. Newer versions migrate a dashboard when they load it. */
const SCHEMA_VERSION = 39;

/** Sets panel ids and other defaults that Grafana would choose at load time: a link to a panel contains its id. */
export function finished(builder: DashboardBuilder): Dashboard {
  const dashboard = builder.build();
  const panels = (dashboard.panels ?? []).map((panel, index) => ({ ...panel, id: index + 1 }));
  const links = (dashboard.links ?? []).map(inSight);
  const annotations = { list: (dashboard.annotations.list ?? []).map(inSight) };
  return { ...dashboard, schemaVersion: SCHEMA_VERSION, panels, links, annotations };
}

/** Removes the library's `placement`, which hides links and annotations in a menu of newer Grafana versions. */
const inSight = <T extends { placement?: unknown }>({ placement: _, ...rest }: T) => rest;
