import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mock } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import t from 'tap';
import type { Test } from 'tap';
import { ApiClient } from '../../operator/kube/api-client.ts';
import { answerJson, answerStatus, startStub } from '../support/api-stub.ts';

async function client(t: Test, answer: Parameters<typeof startStub>[1], timeoutMs?: number) {
  const stub = await startStub(t, answer);
  const counted: string[] = [];
  const request = (method: string, host: string, code: number | '<error>') => counted.push(`${method} ${host} ${code}`);
  const api = new ApiClient({ kubeConfig: stub.kubeConfig, request, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  t.teardown(() => api.close());
  return { api, stub, counted, host: new URL(stub.url).host };
}

t.test('requests go over one connection, and each is counted', async (t) => {
  const { api, stub, counted, host } = await client(t, ({ path }, response) => answerJson(response, { path }));
  t.strictSame(await api.json('GET', '/api/v1/pods'), { path: '/api/v1/pods' });
  await api.json('POST', '/api/v1/pods', { query: { dryRun: 'All', force: true }, body: { kind: 'Pod' } });
  t.match(stub.requests[1], {
    query: { dryRun: 'All', force: 'true' },
    contentType: 'application/json',
    body: { kind: 'Pod' },
    authorization: 'Bearer secret-token',
  });
  t.equal(stub.connections(), 1);
  t.strictSame(counted, [`GET ${host} 200`, `POST ${host} 200`]);
});

t.test('a refusal has its code and the words of the API server', async (t) => {
  const { api, counted, host } = await client(t, ({ path }, response) => {
    if (path === '/proxy') response.writeHead(502).end('<h1>Bad Gateway</h1>');
    else if (path === '/odd') response.end('<html>');
    else answerStatus(response, 422, 'Invalid', 'spec.rounds: is wrong');
  });
  await t.rejects(api.json('POST', '/x', { body: { token: 'hidden' } }), {
    name: 'ApiError',
    message: 'POST /x: 422 spec.rounds: is wrong',
    code: 422,
    body: { reason: 'Invalid' },
  });
  await t.rejects(api.json('GET', '/proxy'), { message: 'GET /proxy: 502 <h1>Bad Gateway</h1>', code: 502, body: '<h1>Bad Gateway</h1>' });
  await t.rejects(api.json('GET', '/odd'), { message: 'GET /odd: the answer is not JSON' });
  t.equal(counted[0], `POST ${host} 422`);
});

t.test('no answer, a late one, and half of one', async (t) => {
  const { api, counted, host } = await client(
    t,
    ({ path }, response) => {
      if (path === '/cut') response.socket?.destroy();
      else if (path === '/half') response.writeHead(200).write('{');
    },
    200,
  );
  await t.rejects(api.json('GET', '/cut'), { message: /^GET \/cut: / });
  await t.rejects(api.json('GET', '/silent'), { message: 'GET /silent: no answer within 0.2 s' });
  await t.rejects(api.json('GET', '/half'), { message: 'GET /half: no answer within 0.2 s' });
  t.strictSame(counted, [`GET ${host} <error>`, `GET ${host} <error>`, `GET ${host} 200`]);
});

t.test('the token of a ServiceAccount is read again when it is a minute old', async (t) => {
  const { stub } = await client(t, (_request, response) => answerJson(response, {}));
  const tokenFile = join(t.testdir(), 'token');
  // As client-node configures itself in a pod.
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser(
    { name: 'inCluster', server: stub.url, skipTLSVerify: true },
    { name: 'inClusterUser', authProvider: { name: 'tokenFile', config: { tokenFile } } },
  );
  const api = new ApiClient({ kubeConfig, request: () => undefined });
  t.teardown(() => api.close());
  mock.timers.enable({ apis: ['Date'], now: Date.now() });
  t.teardown(() => mock.timers.reset());
  for (const [token, seconds] of [['first', 0], ['second', 30], ['third', 31]] as const) {
    writeFileSync(tokenFile, token);
    mock.timers.tick(seconds * 1000);
    await api.json('GET', '/');
  }
  t.strictSame(stub.requests.map(({ authorization }) => authorization), ['Bearer first', 'Bearer first', 'Bearer third']);
});
