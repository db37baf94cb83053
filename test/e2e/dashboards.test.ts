import { join } from 'node:path';
import t from 'tap';
import { testInLab } from '../support/lab.ts';
import { noPrometheus } from '../support/prometheus.ts';

// Includes a first build of the lab's parts.
t.setTimeout(40 * 60_000);

if (noPrometheus) t.test('dashboards and alerts on a cluster', { skip: noPrometheus }, () => {});
else await testInLab(t, 'dashboards and alerts on a cluster', join(import.meta.dirname, 'lab/dashboards.ts'));
