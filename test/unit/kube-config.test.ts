import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { loadKubeConfig } from '../../operator/kube/kube-config.ts';

const good = () => ({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'c', cluster: { server: 'https://cluster.example:6443', 'certificate-authority': 'ca.crt' } }],
  users: [{ name: 'u', user: { token: 't' } }],
  contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
  'current-context': 'x',
});

const VARIABLES = ['HOME', 'KUBECONFIG', 'KUBERNETES_SERVICE_HOST'];

/** An environment without a cluster. */
function alone(t: Test): string {
  const folder = t.testdir({ 'ca.crt': 'authority' });
  const before = new Map(VARIABLES.map((name) => [name, process.env[name]]));
  t.teardown(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  for (const name of VARIABLES) delete process.env[name];
  process.env['HOME'] = folder;
  return folder;
}

t.test('a file', async (t) => {
  const folder = alone(t);
  const file = join(folder, 'config');
  writeFileSync(file, JSON.stringify(good()));
  const config = loadKubeConfig(file);
  t.match(config.getCurrentCluster(), { server: 'https://cluster.example:6443', caFile: join(folder, 'ca.crt') });
  t.equal(config.getCurrentUser()?.token, 't');
});

t.test('KUBECONFIG, then ~/.kube/config, and never a server that neither names', async (t) => {
  const folder = alone(t);
  t.throws(() => loadKubeConfig(null), {
    name: 'UserError',
    message: /no configuration of a Kubernetes cluster/,
    hint: /--kubeconfig/,
  });
  mkdirSync(join(folder, '.kube'));
  writeFileSync(join(folder, '.kube', 'ca.crt'), 'authority');
  writeFileSync(join(folder, '.kube', 'config'), JSON.stringify(good()));
  t.equal(loadKubeConfig(null).getCurrentContext(), 'x');
  const other = join(folder, 'other');
  writeFileSync(
    other,
    JSON.stringify({
      ...good(),
      contexts: [{ name: 'y', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'y',
    }),
  );
  process.env['KUBECONFIG'] = other;
  t.equal(loadKubeConfig(null).getCurrentContext(), 'y');
});

t.test('what is wrong with a file is said', async (t) => {
  const folder = alone(t);
  const cluster = { server: 'https://cluster.example' };
  const wrong: readonly [object | string, RegExp][] = [
    ['{', /cannot be read as a kubeconfig/],
    [{ ...good(), 'current-context': '' }, /has no current-context/],
    [{ ...good(), 'current-context': 'z' }, /current-context "z" is not one of its contexts/],
    [{ ...good(), clusters: [] }, /names the cluster "c", which it does not define/],
    [{ ...good(), users: [] }, /names the user "u", which it does not define/],
    [{ ...good(), clusters: [{ name: 'c' }] }, /clusters\[0\]\.cluster is missing/],
    [
      { ...good(), clusters: [{ name: 'c', cluster: { server: 'cluster.example' } }] },
      /"cluster\.example" is not a URL/,
    ],
    [{ ...good(), clusters: [{ name: 'c', cluster: { server: 'http://localhost:8080' } }] }, /without TLS/],
    [
      { ...good(), clusters: [{ name: 'c', cluster: { ...cluster, 'certificate-authority': 'gone.crt' } }] },
      /gone\.crt, which cannot be read/,
    ],
  ];
  for (const [content, message] of wrong) {
    const file = join(folder, 'config');
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    t.throws(() => loadKubeConfig(file), { name: 'UserError', message }, String(message));
  }
  t.throws(() => loadKubeConfig(join(folder, 'nowhere')), { name: 'UserError', message: /ENOENT/ });
});
