import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { fleetDashboard } from './fleet.ts';
import { jobDashboard } from './job.ts';
import { operatorDashboard } from './operator.ts';

const text = (dashboard: Dashboard) => `${JSON.stringify(dashboard, null, 2)}\n`;

/** Names and contents of the files in charts/fedbiot/dashboards. */
export const dashboards = (): Readonly<Record<string, string>> => ({
  'fleet.json': text(fleetDashboard()),
  'job.json': text(jobDashboard()),
  'operator.json': text(operatorDashboard()),
});
