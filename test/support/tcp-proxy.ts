import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import type { Test } from 'tap';

export interface TcpProxy {
  /** The URL of the same server through the proxy. */
  readonly url: string;
  /** Number of connections so far. */
  readonly taken: () => number;
  /** Ends all connections and accepts no new ones, until `open`. */
  cut(): void;
  open(): void;
  /** Existing connections stay open but transfer nothing; new ones work as before. */
  freeze(): void;
}

/** A proxy that simulates network failures. */
export async function startProxy(t: Test, target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target);
  const pairs = new Set<readonly [Socket, Socket]>();
  const frozen = new Set<Socket>();
  let isOpen = true;
  let taken = 0;
  const server = createServer({ allowHalfOpen: false }, (client) => {
    if (!isOpen) {
      client.resetAndDestroy();
      return;
    }
    taken++;
    const upstream = connect(Number(port), hostname);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [upstream, client] as const]) {
      from.on('data', (data: Buffer) => {
        if (!frozen.has(from)) to.write(data);
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        if (!frozen.has(from)) to.destroy();
        pairs.delete(pair);
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const cut = () => {
    isOpen = false;
    for (const pair of pairs) for (const socket of pair) socket.destroy();
  };
  t.teardown(() => {
    cut();
    for (const socket of frozen) socket.destroy();
    server.close();
  });
  return {
    url: `https://127.0.0.1:${address.port}`,
    taken: () => taken,
    cut,
    open: () => {
      isOpen = true;
    },
    freeze: () => {
      for (const pair of pairs) for (const socket of pair) frozen.add(socket);
    },
  };
}
