import type { Server } from 'node:http';
import Fastify from 'fastify';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';

/** Limits of an HTTP server. A connection that exceeds them is closed without a response. */
export interface ConnectionLimits {
  /** Connections in total, and from one address: a network may hide several callers behind one address. */
  readonly total: number;
  readonly perPeer: number;
  /** Milliseconds within which the header of a request, and the whole request, must arrive. */
  readonly headerMs: number;
  readonly requestMs: number;
  /** Milliseconds that a connection may be idle between two requests. */
  readonly idleMs: number;
  /** Milliseconds without traffic after which a connection counts as dead. */
  readonly silentMs: number;
}

export const USUAL_LIMITS: ConnectionLimits = {
  total: 512,
  perPeer: 64,
  headerMs: 5_000,
  requestMs: 10_000,
  idleMs: 5_000,
  silentMs: 60_000,
};

/** A Fastify server with limits for its callers. It does not listen yet. */
export function boundedServer(
  limits: ConnectionLimits,
  options: Pick<FastifyServerOptions, 'bodyLimit' | 'routerOptions'> = {},
): FastifyInstance {
  const { headerMs, requestMs, idleMs, silentMs } = limits;
  const app = Fastify({
    bodyLimit: 1024,
    ...options,
    logger: false,
    forceCloseConnections: true,
    requestTimeout: requestMs,
    keepAliveTimeout: idleMs,
    connectionTimeout: silentMs,
    http: { headersTimeout: headerMs, connectionsCheckingInterval: Math.ceil(headerMs / 5) },
  });
  limitConnections(app.server, limits);
  return app;
}

function limitConnections(server: Server, { total, perPeer }: ConnectionLimits): void {
  server.maxConnections = total;
  const peers = new Map<string, number>();
  server.on('connection', (socket) => {
    const peer = socket.remoteAddress ?? '';
    const count = (peers.get(peer) ?? 0) + 1;
    if (count > perPeer) {
      socket.destroy();
      return;
    }
    peers.set(peer, count);
    socket.once('close', () => {
      const left = (peers.get(peer) ?? 1) - 1;
      if (left > 0) peers.set(peer, left);
      else peers.delete(peer);
    });
  });
}
