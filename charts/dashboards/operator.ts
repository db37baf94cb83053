import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { dashboardBuilder, finished } from '../panels/dashboard.ts';
import { atAGlance } from './operator/at-a-glance.ts';
import { reconciles } from './operator/reconciles.ts';
import { workQueue } from './operator/work-queue.ts';
import { dependencies } from './operator/dependencies.ts';
import { processes } from './operator/processes.ts';
import { namespaceOfOperators } from '../panels/variables.ts';

export const operatorDashboard = (): Dashboard =>
  finished(
    dashboardBuilder({
      uid: 'fedbiot-operator',
      title: 'FedBiOT / Operator',
      description:
        'The operator: its leader, reconciles and their latency, requests to the API server, Redis and processes.',
      from: 'now-6h',
      variables: [namespaceOfOperators()],
      rows: [
        { title: 'At a glance', panels: atAGlance },
        { title: 'Reconciles', panels: reconciles },
        { title: 'Work queue', panels: workQueue },
        { title: 'API server, leader and Redis', panels: dependencies },
        { title: 'Processes', panels: processes },
      ],
    }),
  );
