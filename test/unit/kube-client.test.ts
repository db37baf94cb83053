import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
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
  const api = new ApiClient({
    kubeConfig: stub.kubeConfig,
    request,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
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
  await t.rejects(api.json('GET', '/proxy'), {
    message: 'GET /proxy: 502 <h1>Bad Gateway</h1>',
    code: 502,
    body: '<h1>Bad Gateway</h1>',
  });
  await t.rejects(api.json('GET', '/odd'), { message: 'GET /odd: the answer is not JSON' });
  t.equal(counted[0], `POST ${host} 422`);
});

t.test('no answer, a late answer, and an incomplete answer', async (t) => {
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
  // The configuration of client-node in a pod.
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser(
    { name: 'inCluster', server: stub.url, skipTLSVerify: true },
    { name: 'inClusterUser', authProvider: { name: 'tokenFile', config: { tokenFile } } },
  );
  const api = new ApiClient({ kubeConfig, request: () => undefined });
  t.teardown(() => api.close());
  mock.timers.enable({ apis: ['Date'], now: Date.now() });
  t.teardown(() => mock.timers.reset());
  for (const [token, seconds] of [
    ['first', 0],
    ['second', 30],
    ['third', 31],
  ] as const) {
    writeFileSync(tokenFile, token);
    mock.timers.tick(seconds * 1000);
    await api.json('GET', '/');
  }
  t.strictSame(
    stub.requests.map(({ authorization }) => authorization),
    ['Bearer first', 'Bearer first', 'Bearer third'],
  );
});

t.test(
  'an exec plugin that hangs is named, waited for no longer than a request may take, and started once',
  async (t) => {
    const { stub } = await client(t, (_request, response) => answerJson(response, {}));
    const folder = t.testdir({});
    const [plugin, starts, goOn] = ['plugin', 'starts', 'go-on'].map((name) => join(folder, name));
    const credential = JSON.stringify({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'by-plugin' },
    });
    writeFileSync(
      String(plugin),
      `#!/bin/sh\necho >> ${starts}\nwhile [ ! -e ${goOn} ]; do sleep 0.05; done\necho '${credential}'\n`,
      { mode: 0o755 },
    );
    const kubeConfig = new KubeConfig();
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: plugin, interactiveMode: 'Never' };
    kubeConfig.loadFromClusterAndUser({ name: 'one', server: stub.url, skipTLSVerify: true }, { name: 'user', exec });
    const counted: string[] = [];
    const api = new ApiClient({
      kubeConfig,
      request: (_method, _host, code) => void counted.push(String(code)),
      timeoutMs: 300,
    });
    t.teardown(() => {
      writeFileSync(String(goOn), '');
      api.close();
    });
    const message = `GET /x: no credentials from the kubeconfig's exec plugin ${plugin} within 0.3 s`;
    for (let round = 0; round < 2; round++)
      await Promise.all([1, 2, 3].map(() => t.rejects(api.json('GET', '/x'), { message })));
    t.strictSame(counted, Array(6).fill('<error>'));
    t.equal(readFileSync(String(starts), 'utf8').length, 1, 'not once for each request');
    const waited = api.json('GET', '/x');
    writeFileSync(String(goOn), '');
    t.strictSame(await waited, {}, 'a login that ends late counts');
    t.equal(stub.requests.at(-1)?.authorization, 'Bearer by-plugin');
    t.equal(readFileSync(String(starts), 'utf8').length, 1);
  },
);

t.test(
  'where the kubeconfig names a proxy, requests pass through it, with their credentials, and are counted',
  async (t) => {
    const { stub } = await client(t, ({ path }, response) => {
      if (path === '/no') answerStatus(response, 403, 'Forbidden', 'not this');
      else answerJson(response, { path });
    });
    const asked: string[] = [];
    const proxy = createServer((_request, response) => response.writeHead(400).end());
    proxy.on('connect', ({ url = '' }, socket) => {
      asked.push(url);
      const [host = '', port = ''] = url.split(':');
      const upstream = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        socket.pipe(upstream).pipe(socket);
      });
      for (const [one, other] of [
        [socket, upstream],
        [upstream, socket],
      ] as const)
        one.on('error', () => undefined).on('close', () => other.destroy());
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const address = proxy.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const through = (port: number) => {
      const kubeConfig = new KubeConfig();
      kubeConfig.loadFromClusterAndUser(
        { name: 'far', server: stub.url, skipTLSVerify: true, proxyUrl: `http://127.0.0.1:${port}` },
        { name: 'user', token: 'secret-token' },
      );
      const counted: string[] = [];
      const api = new ApiClient({
        kubeConfig,
        request: (method, host, code) => counted.push(`${method} ${host} ${code}`),
      });
      t.teardown(() => api.close());
      return { api, counted };
    };
    const { host } = new URL(stub.url);
    const { api, counted } = through(address.port);
    t.strictSame(await api.json('POST', '/x', { query: { force: true }, body: { kind: 'Pod' } }), { path: '/x' });
    t.match(stub.requests.at(-1), {
      query: { force: 'true' },
      body: { kind: 'Pod' },
      authorization: 'Bearer secret-token',
    });
    t.equal(await text(await api.stream('/watch', { watch: true }, new AbortController().signal)), '{"path":"/watch"}');
    await t.rejects(api.json('GET', '/no'), { name: 'ApiError', code: 403, message: 'GET /no: 403 not this' });
    t.strictSame(counted, [`POST ${host} 200`, `GET ${host} 200`, `GET ${host} 403`], 'by the host of the API server');
    t.strictSame([...new Set(asked)], [host], 'the proxy was asked for the API server');

    proxy.closeAllConnections();
    proxy.close();
    await once(proxy, 'close');
    const {
      requests: { length },
    } = stub;
    const away = through(address.port);
    await t.rejects(away.api.json('GET', '/x'), { message: /^GET \/x: .*ECONNREFUSED/ });
    t.strictSame(away.counted, [`GET ${host} <error>`]);
    t.equal(stub.requests.length, length, 'no request goes past the proxy');
  },
);
