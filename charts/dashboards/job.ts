import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { dashboardBuilder, finished } from '../panels/dashboard.ts';
import { atAGlance } from './job/at-a-glance.ts';
import { clients } from './job/clients.ts';
import { onTheCluster } from './job/cluster.ts';
import { cost } from './job/cost.ts';
import { learning } from './job/learning.ts';
import { roundEnds } from './job/round-ends.ts';
import { time } from './job/time.ts';
import { job, namespaceOfJobs } from '../panels/variables.ts';

export const jobDashboard = (): Dashboard =>
  finished(
    dashboardBuilder({
      uid: 'fedbiot-job',
      title: 'FedBiOT / Job',
      description: 'One job, or several for comparison: learning, clients, time and cost.',
      from: 'now-6h',
      variables: [namespaceOfJobs(), job()],
      rows: [
        { title: 'At a glance', panels: atAGlance },
        { title: 'Learning', panels: learning },
        { title: 'Clients', panels: clients },
        { title: 'Time', panels: time },
        { title: 'Cost', panels: cost },
        { title: 'On the cluster', panels: onTheCluster },
      ],
    }).annotation(roundEnds),
  );
