// The manifests in examples/cluster, as docs/cluster.md has them applied: the API server takes them, and their pods meet the restricted standard.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { readConfig } from '../../operator/config.ts';
import { noControllers, startControlPlane } from '../support/control-plane.ts';
import { until } from '../support/until.ts';

const ROOT = join(import.meta.dirname, '../..');
const SYSTEM = 'fedbiot-system';

t.test('the operator and its Redis', { skip: noControllers }, async (t) => {
  const { kubectl, close } = await startControlPlane({ controllers: true });
  t.teardown(close);
  const apply = (path: string, ...args: readonly string[]) => kubectl(['apply', '--filename', join(ROOT, path), ...args]);
  await apply('examples/cluster/namespace.yaml');
  for (const name of ['service-account', 'cluster-role', 'users', 'all-namespaces']) await apply(`operator/rbac/${name}.yaml`);
  await kubectl(['create', 'secret', 'generic', 'redis', '--namespace', SYSTEM, '--from-literal=password=x', '--from-literal=url=redis://:x@redis:6379']);
  for (const name of ['redis', 'operator']) await apply(`examples/cluster/${name}.yaml`);
  // Pods that do not meet the standard are never made.
  await until('three pods are made', 60, async () => {
    const names = await kubectl(['get', 'pods', '--namespace', SYSTEM, '--output', 'name']);
    return names.match(/pod\/(redis-0|fedbiot-operator-)/g)?.length === 3 ? names : null;
  });

  await kubectl(['create', 'namespace', 'demo']);
  await kubectl(['label', 'namespace', 'demo', 'pod-security.kubernetes.io/enforce=restricted']);
  for (const name of ['job', 'reader']) await apply(`examples/cluster/${name}.yaml`, '--namespace', 'demo');
  t.match(await kubectl(['get', 'fedbiotjobs,pods', '--namespace', 'demo', '--output', 'name']), /fedbiotjob\S+\/support-answers\npod\/adapter-reader/);
});

t.test('the operator takes the variables that its manifest sets', async (t) => {
  const [document] = parseAllDocuments(readFileSync(join(ROOT, 'examples/cluster/operator.yaml'), 'utf8'));
  const variables: readonly { name: string; value?: string }[] = document?.toJS().spec.template.spec.containers[0].env;
  t.strictSame(variables.map(({ name }) => name), ['FEDBIOT_WORKER_IMAGE', 'FEDBIOT_REDIS_URL']);
  const environment = Object.fromEntries(variables.map(({ name, value }) => [name, value ?? 'redis://:x@redis:6379']));
  t.match(readConfig([], environment, '0'), { workerImage: /fedbiot-worker/, redisUrl: /redis/, port: 8081 });
});
