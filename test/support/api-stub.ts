import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { KubeConfig } from '@kubernetes/client-node';
import type { Test } from 'tap';

export interface StubRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

export interface ApiStub {
  readonly url: string;
  readonly kubeConfig: KubeConfig;
  /** Number of connections so far. */
  readonly connections: () => number;
  /** The requests so far. */
  readonly requests: readonly StubRequest[];
}

/** A server with the test's own responses, for cases that a real API server cannot produce. It ends with the test. */
export async function startStub(
  t: Test,
  answer: (request: StubRequest, response: ServerResponse) => void | Promise<void>,
): Promise<ApiStub> {
  const requests: StubRequest[] = [];
  const take = async (incoming: IncomingMessage, response: ServerResponse) => {
    const url = new URL(incoming.url ?? '', 'http://stub');
    const body = await text(incoming);
    const request: StubRequest = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      contentType: incoming.headers['content-type'],
      authorization: incoming.headers.authorization,
      body: body === '' ? undefined : JSON.parse(body),
    };
    requests.push(request);
    await answer(request, response);
  };
  const server = createServer((incoming, response) => {
    take(incoming, response).catch(() => response.destroy());
  });
  let connections = 0;
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = `http://127.0.0.1:${address.port}`;
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser(
    { name: 'stub', server: url, skipTLSVerify: true },
    { name: 'stub', token: 'secret-token' },
  );
  return { url, kubeConfig, connections: () => connections, requests };
}

export function answerJson(response: ServerResponse, value: unknown, code = 200): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

/** A refusal in the form of the API server. */
export const answerStatus = (response: ServerResponse, code: number, reason: string, message = reason): void =>
  answerJson(response, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message }, code);
