import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, Redis } from 'ioredis';
import type { RedisEndpoint } from '../../worker/transport/redis/redis-url.ts';
import { FAIL_FAST } from './fail-fast.ts';
import { guard } from './guard.ts';

export interface GuardedOptions {
  readonly endpoint: RedisEndpoint;
  /** PEM of the CA certificate; null: the CAs that the system trusts. */
  readonly ca: string | null;
  /** Limit of an answer in bytes. */
  readonly maxReplyBytes: number;
  /** Milliseconds until the next attempt to connect; null: none. */
  readonly retryStrategy: (attempt: number) => number | null;
}

const DISCONNECT_TIMEOUT_MS = 2_000;
/** How long a connection may be silent while a command waits for its answer. */
const SILENCE_MS = 30_000;

/**
 * A guarded RESP2 connection to a Redis that is not trusted. It connects when `connect` is called; commands fail at
 * once while Redis is down, as they are repeated soon.
 */
export function openGuarded({ endpoint, ca, maxReplyBytes, retryStrategy }: GuardedOptions): Redis {
  const { host, port, isTls, username, password, database } = endpoint;
  class GuardedConnector extends AbstractConnector {
    constructor() {
      super(DISCONNECT_TIMEOUT_MS);
    }

    override async connect() {
      this.connecting = true;
      const socket = isTls ? connectTls({ host, port, ...(ca === null ? {} : { ca }) }) : connect({ host, port });
      guard(socket, maxReplyBytes);
      socket.once('error', (error) => (this.firstError = error));
      this.stream = socket;
      return socket;
    }
  }
  return new Redis({
    Connector: GuardedConnector,
    host,
    port,
    db: database,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    // Selects the event by which the client knows that it is connected.
    ...(isTls ? { tls: {} } : {}),
    protocol: 2,
    lazyConnect: true,
    autoResubscribe: false,
    ...FAIL_FAST,
    socketTimeout: SILENCE_MS,
    retryStrategy,
  });
}
