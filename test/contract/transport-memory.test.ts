import t from 'tap';
import { MemoryTransport } from '../../worker/transport/memory.ts';
import { transportContract } from './transport.ts';

transportContract(t, 'memory', async () => {
  const server = new MemoryTransport();
  return { server, connect: async () => server.connect() };
});

t.test('memory: a submission waits while many results are unread, and close releases it', async (t) => {
  const server = new MemoryTransport();
  const client = server.connect();
  const signal = new AbortController().signal;
  await server.dispatch({ job: 'job', round: 1, attempt: 1, client: 0, sha256: '', bytes: 0 });
  const delivery = await client.take(signal);
  let accepted = 0;
  const submitting = Array.from({ length: 40 }, () =>
    client.submit(delivery!, { header: '{}', payload: new Uint8Array(8), sha256: '' }).then(() => accepted++),
  );
  const ended = Promise.allSettled(submitting);
  await new Promise((resolve) => setImmediate(resolve));
  const room = accepted;
  t.ok(room > 0 && room < 40, `${room} of 40 were accepted unread`);
  t.not(await server.receive(signal), null);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(accepted, room + 1, 'room for one is room for one');
  await server.close();
  const refused = (await ended).filter(({ status }) => status === 'rejected');
  t.equal(refused.length, 40 - accepted);
});

t.test('memory: closing the server closes all ends: waiting clients get null, deliveries are withdrawn', async (t) => {
  const server = new MemoryTransport();
  const [idle, busy] = [server.connect(), server.connect()];
  const signal = new AbortController().signal;
  await server.dispatch({ job: 'job', round: 1, attempt: 1, client: 0, sha256: '', bytes: 0 });
  const delivery = await busy.take(signal);
  const waiting = idle.take(signal);
  await server.close();
  t.equal(await waiting, null);
  t.ok(delivery?.withdrawn.aborted);
  await t.rejects(busy.submit(delivery!, { header: '{}', payload: new Uint8Array(), sha256: '' }), {
    name: 'TransportClosed',
  });
  await busy.close();
  t.equal(await idle.take(signal), null);
});
