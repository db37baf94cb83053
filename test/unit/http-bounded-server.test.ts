// Callers that connect and send nothing, or little, are disconnected, and do not block other callers.
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { boundedServer } from '../../worker/http/bounded-server.ts';
import type { ConnectionLimits } from '../../worker/http/bounded-server.ts';

const LIMITS: ConnectionLimits = {
  total: 100,
  perPeer: 50,
  headerMs: 1_000,
  requestMs: 2_000,
  idleMs: 1_000,
  silentMs: 3_000,
};

async function serve(t: Test, changes: Partial<ConnectionLimits> = {}) {
  const app = boundedServer({ ...LIMITS, ...changes });
  app.get('/', () => 'hello');
  app.post('/', () => 'taken');
  await app.listen({ port: 0, host: '127.0.0.1' });
  t.teardown(() => app.close());
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const { port } = address;
  const open = () =>
    new Promise<number>((resolve, reject) =>
      app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    );
  return { port, open, get: (from: string) => get(port, from) };
}

/** Connects from an address of this machine, sends some bytes, and waits. */
function caller(t: Test, port: number, from: string, says: string): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from });
  socket.on('error', () => undefined).resume();
  if (says !== '') socket.write(says);
  t.teardown(() => socket.destroy());
  return socket;
}

async function get(port: number, from: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from });
  socket.end('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += chunk;
  return text;
}

const closed = (sockets: readonly Socket[]) =>
  Promise.all(
    sockets.map((socket) =>
      socket.closed ? Promise.resolve() : new Promise<void>((resolve) => socket.once('close', () => resolve())),
    ),
  );

t.test(
  'half-open connections are few, of each address and in all, and are gone soon; others are answered meanwhile',
  async (t) => {
    const { port, open, get } = await serve(t);
    // 400 half-open connections from four addresses: 50 of each are accepted, and 100 in total.
    const flood = Array.from({ length: 400 }, (_, i) =>
      caller(t, port, `127.0.0.${10 + (i % 4)}`, i % 2 === 0 ? '' : 'GET / HTTP/1.1\r\nhost'),
    );
    await Promise.race([closed(flood.slice(0, 300)), delay(300)]);
    t.ok((await open()) <= LIMITS.total, 'no more are open than may be');
    await closed(flood);
    t.equal(await open(), 0, 'and none stays');
    t.match(await get('127.0.0.9'), /hello$/);
  },
);

t.test('one address cannot use all connections', async (t) => {
  const { port, open, get } = await serve(t);
  const flood = Array.from({ length: 200 }, () => caller(t, port, '127.0.0.10', ''));
  await closed(flood.slice(LIMITS.perPeer));
  t.equal(await open(), LIMITS.perPeer);
  t.match(await get('127.0.0.11'), /hello$/, 'another is answered at once');
  await closed(flood);
  t.match(await get('127.0.0.10'), /hello$/, 'and the same one, later');
});

t.test('a request that never ends, a reader that does not read, and an idle connection are closed', async (t) => {
  const { port, open } = await serve(t);
  const endless = caller(
    t,
    port,
    '127.0.0.10',
    'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\ncontent-type: text/plain\r\n\r\nx',
  );
  const idle = caller(t, port, '127.0.0.10', 'GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  idle.resume();
  await closed([endless, idle]);
  t.equal(await open(), 0);
});
