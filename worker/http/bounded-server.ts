import type { Server } from 'node:http';
import Fastify from 'fastify';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';

/** Limits of an HTTP server. A connection beyond them is closed without an answer. */
export interface ConnectionLimits {
  /** Connections in all, and of one address: a network may hide several callers behind one. */
  readonly total: number;
  readonly perPeer: number;
  /** Milliseconds in which a request's header, and the whole request, must have come. */
  readonly headerMs: number;
  readonly requestMs: number;
  /** Milliseconds that a connection may stay between two requests. */
  readonly idleMs: number;
  /** Milliseconds in which nothing passes, after which a connection is dead. */
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

/** A Fastify server that holds its callers to limits; not yet listening. */
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
