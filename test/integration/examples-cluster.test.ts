// The manifests in examples/cluster, applied as in docs/cluster.md: the API server accepts them, and their pods meet
// the restricted standard.
import { join } from 'node:path';
import t from 'tap';
import { noApiServer, startControlPlane } from '../support/control-plane.ts';

const FOLDER = join(import.meta.dirname, '../../examples/cluster');

t.test(
  'a job of one’s own, its volumes, and the pods that fill them and read what a job has made',
  { skip: noApiServer },
  async (t) => {
    const { kubectl, close } = await startControlPlane();
    t.teardown(close);
    await kubectl(['create', 'namespace', 'demo']);
    await kubectl(['label', 'namespace', 'demo', 'pod-security.kubernetes.io/enforce=restricted']);
    for (const name of ['volumes', 'job', 'reader'])
      await kubectl(['apply', '--filename', join(FOLDER, `${name}.yaml`), '--namespace', 'demo']);
    t.match(
      await kubectl(['get', 'fedbiotjobs,pods', '--namespace', 'demo', '--output', 'name']),
      /fedbiotjob\S+\/support-answers\npod\/adapter-reader\npod\/loader/,
    );
  },
);
