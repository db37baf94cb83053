import { join } from 'node:path';
import t from 'tap';
import { testInLab } from '../support/lab.ts';

// Includes a first build of the lab's parts.
t.setTimeout(40 * 60_000);

await testInLab(t, 'jobs on a node with real containers', join(import.meta.dirname, 'lab/quickstart.ts'));
