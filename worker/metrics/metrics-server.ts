import type { Registry } from 'prom-client';
import { boundedServer, USUAL_LIMITS } from '../http/bounded-server.ts';

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves /metrics, /healthz (the process answers) and /readyz (it can do its work).
 * @param port 0: a free one
 */
export async function serveMetrics(
  registry: Registry,
  { host, port, isReady }: { readonly host: string; readonly port: number; readonly isReady: () => boolean },
): Promise<MetricsServer> {
  const app = boundedServer(USUAL_LIMITS);
  app.get('/metrics', async (_, reply) => reply.type(registry.contentType).send(await registry.metrics()));
  app.get('/healthz', () => 'ok');
  app.get('/readyz', async (_, reply) => (isReady() ? 'ok' : reply.code(503).send('not ready')));
  await app.listen({ host, port });
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('the metrics server has no port');
  return { port: address.port, close: () => app.close() };
}
