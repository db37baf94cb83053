import t from 'tap';
import type { Test } from 'tap';
import { ApiClient } from '../../operator/kube/api-client.ts';
import { loadKubeConfig } from '../../operator/kube/kube-config.ts';
import { ListWatch, WATCH_TIMES } from '../../operator/kube/list-watch.ts';
import { reader, WholeObject } from '../../operator/kube/read-object.ts';
import { collectionPath, RESOURCE } from '../../operator/objects/resources.ts';
import { createLog } from '../../operator/process/log.ts';
import { validJob } from '../fixtures/invalid-jobs.ts';
import { noApiServer, startControlPlane } from '../support/control-plane.ts';
import { allowOperator, createOperatorAccount, watchCluster } from '../support/operator-cluster.ts';
import type { SeenCluster } from '../support/operator-cluster.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const manifest = (name: string) => {
  const { model, data } = validJob().spec;
  return {
    apiVersion: 'fedbiot.io/v1alpha1',
    kind: 'FedBiOTJob',
    metadata: { name, namespace: 'default' },
    spec: { model, data },
  };
};

const FAST = { firstPauseMs: 50, longestPauseMs: 1_000 };

t.test('faults of the API server and of the network', { skip: noApiServer }, async (t) => {
  const plane = await startControlPlane();
  t.teardown(plane.close);
  const { kubectl } = plane;
  const token = await createOperatorAccount(plane);
  await allowOperator(plane, null);
  const create = (name: string) => kubectl(['create', '--filename', '-'], manifest(name));
  const remove = (name: string) => kubectl(['delete', 'fbj', name]);
  const names = ({ cluster }: SeenCluster) =>
    cluster
      .jobs()
      .map(({ metadata }) => metadata.name)
      .sort()
      .join();
  const shows = (seen: SeenCluster, expected: string) =>
    until(`jobs: ${expected}; there are ${names(seen)}`, 60, () => (names(seen) === expected ? true : null));

  const behindProxy = async (t: Test, times: object = {}) => {
    const proxy = await startProxy(t, plane.url);
    const seen = watchCluster(t, plane.kubeconfigFor(token, proxy.url), { times: { ...FAST, ...times } });
    await seen.filled();
    return { proxy, seen };
  };

  t.test('after a short disconnection it continues without a new list', async (t) => {
    const { proxy, seen } = await behindProxy(t);
    await create('a');
    await create('b');
    await shows(seen, 'a,b');
    proxy.cut();
    await create('c');
    await remove('a');
    await until('it has noticed', 30, () => (seen.log().includes('"failures":3') ? true : null));
    proxy.open();
    await shows(seen, 'b,c');
    t.match(seen.removed, [{ metadata: { name: 'a' } }]);
    t.notMatch(seen.log(), /: 410 /);
    t.equal(new Set(seen.restarted).size, 8, 'all watches restarted');
    for (const name of ['b', 'c']) await remove(name);
  });

  t.test('lost events, including deletions, are found by a new list', async (t) => {
    const { proxy, seen } = await behindProxy(t);
    await create('a');
    await create('b');
    await shows(seen, 'a,b');
    proxy.cut();
    await remove('a');
    await create('c');
    // The history is lost, both in etcd and in the API server's memory.
    await plane.compact();
    await plane.stop();
    await plane.start();
    proxy.open();
    await shows(seen, 'b,c');
    t.match(seen.log(), /too old resource version/);
    t.match(seen.removed, [{ metadata: { name: 'a' } }]);
    await create('d');
    await shows(seen, 'b,c,d');
    for (const name of ['b', 'c', 'd']) await remove(name);
  });

  t.test('the API server goes away and comes back', async (t) => {
    const seen = watchCluster(t, plane.kubeconfigFor(token), { times: FAST });
    await seen.filled();
    await create('a');
    await shows(seen, 'a');
    await plane.stop();
    const before = seen.requests.length;
    const began = performance.now();
    await until('it has tried often', 60, () => (seen.log().includes('"failures":6') ? true : null));
    const seconds = (performance.now() - began) / 1000;
    // Eight watches, each at most twice per second once the pauses have grown; a busy loop would make thousands of
    // requests.
    const tries = seen.requests.slice(before);
    t.ok(tries.length < 8 * (8 + 2 * seconds), `${tries.length} requests in ${seconds} s`);
    t.strictSame([...new Set(tries)], ['GET <error>']);
    t.equal(names(seen), 'a', 'what it knew it knows');
    await t.rejects(seen.ports.read({ apiVersion: 'v1', kind: 'Service', name: 'none', namespace: 'default' }), {
      message: /ECONNREFUSED/,
    });
    await plane.start();
    await create('b');
    await shows(seen, 'a,b');
    for (const name of ['a', 'b']) await remove(name);
  });

  t.test('a connection that is dead without having been closed', async (t) => {
    const { proxy, seen } = await behindProxy(t, { watchSeconds: 2, marginMs: 500 });
    await create('a');
    await shows(seen, 'a');
    proxy.freeze();
    await create('b');
    await shows(seen, 'a,b');
    t.match(seen.log(), /no data for/);
    for (const name of ['a', 'b']) await remove(name);
  });

  t.test('a request without an answer times out', async (t) => {
    const proxy = await startProxy(t, plane.url);
    const seen = watchCluster(t, plane.kubeconfigFor(token, proxy.url), { requestTimeoutMs: 1_000 });
    await seen.filled();
    const reference = { apiVersion: 'v1', kind: 'Service', name: 'kubernetes', namespace: 'default' };
    const service = { kind: 'Service', metadata: { name: 'kubernetes' } };
    t.match(await seen.ports.read(reference), service);
    proxy.freeze();
    await t.rejects(seen.ports.read(reference), {
      message: 'GET /api/v1/namespaces/default/services/kubernetes: no answer within 1 s',
    });
    t.match(await seen.ports.read(reference), service, 'over a new connection');
  });

  t.test('a resync reports every job, and a listener that throws stops nothing', async (t) => {
    const looked: string[] = [];
    const seen = watchCluster(t, plane.kubeconfigFor(token), {
      times: { resyncMs: 200 },
      changed: (key) => {
        looked.push(key);
        throw new Error('the queue is broken');
      },
    });
    await seen.filled();
    await create('a');
    await until('it was looked at often', 30, () =>
      looked.filter((key) => key === 'default/a').length > 3 ? true : null,
    );
    await create('b');
    await shows(seen, 'a,b');
    t.match(seen.log(), /the queue is broken/);
    for (const name of ['a', 'b']) await remove(name);
  });

  t.test('a list in pages is one list', async (t) => {
    const objects = Array.from({ length: 7 }, (_, each) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: `page-${each}`, labels: { paged: 'yes' } },
    }));
    await kubectl(['create', '--filename', '-'], { apiVersion: 'v1', kind: 'List', items: objects });
    const requests: string[] = [];
    const client = new ApiClient({
      kubeConfig: loadKubeConfig(plane.kubeconfig),
      request: (method, _host, code) => requests.push(`${method} ${code}`),
    });
    const told: string[][] = [];
    const watch = new ListWatch<WholeObject>({
      client,
      path: collectionPath(RESOURCE.configMap, null),
      labelSelector: 'paged=yes',
      read: reader(RESOURCE.configMap, WholeObject),
      log: createLog('error'),
      times: WATCH_TIMES,
      pageSize: 3,
      replace: (all) => told.push(all.map(({ metadata }) => metadata.name)),
      put: ({ metadata }) => told.push([metadata.name]),
      drop: ({ name }) => told.push(['gone', name]),
      restarted: () => t.fail('nothing went wrong'),
    });
    watch.start();
    t.teardown(async () => {
      await watch.close();
      client.close();
    });
    await until('all are listed, and watched', 30, () => (requests.length === 4 ? true : null));
    t.strictSame(told, [objects.map(({ metadata }) => metadata.name)]);
    await kubectl(['delete', 'configmap', 'page-0']);
    await until('the deletion is told', 30, () => told[1] ?? null);
    t.strictSame(told[1], ['gone', 'page-0']);
  });
});
