import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { dashboardBuilder, finished } from '../panels/dashboard.ts';
import { atAGlance } from './fleet/at-a-glance.ts';
import { jobs } from './fleet/jobs.ts';
import { stuck } from './fleet/stuck.ts';
import { overTime } from './fleet/over-time.ts';
import { cost } from './fleet/cost.ts';
import { job, namespaceOfJobs } from '../panels/variables.ts';

export const fleetDashboard = (): Dashboard =>
  finished(
    dashboardBuilder({
      uid: 'fedbiot-fleet',
      title: 'FedBiOT / Fleet',
      description:
        'All jobs: their phases, which are stuck, what they have learned, and the GPUs that they request and hold.',
      from: 'now-24h',
      variables: [namespaceOfJobs(), job()],
      rows: [
        { title: 'At a glance', panels: atAGlance },
        { title: 'Jobs', panels: jobs },
        { title: 'Stuck', panels: stuck },
        { title: 'Over time', panels: overTime },
        { title: 'Cost', panels: cost },
      ],
    }),
  );
