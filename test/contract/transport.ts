import type { Test } from 'tap';
import type {
  Arrival,
  ClientTransport,
  Delivery,
  ServerTransport,
  Submission,
  Task,
} from '../../worker/transport/contract.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { Refused } from '../../crds/facts/refusal.ts';
import { countHashes } from '../support/count-hashes.ts';

/** A transport under test: one server end, and as many client ends as a test needs. */
export interface TransportUnderTest {
  readonly server: ServerTransport;
  connect(): Promise<ClientTransport>;
}

const round = { job: 'contract', round: 1, attempt: 1 };
const forever = new AbortController().signal;

const bytesOf = (text: string) => new TextEncoder().encode(text);
const sealed = (text: string) => ({ bytes: bytesOf(text), sha256: sha256(bytesOf(text)) });

function task(client: number, text = 'package', changes: Partial<Task> = {}): Task {
  return { ...round, client, sha256: sealed(text).sha256, bytes: bytesOf(text).byteLength, ...changes };
}

const answer = (text: string): Submission => ({
  header: JSON.stringify({ says: text }),
  payload: bytesOf(text),
  sha256: sha256(bytesOf(text)),
});

async function take(client: ClientTransport, signal = forever): Promise<Delivery> {
  const delivery = await client.take(signal);
  if (delivery === null) throw new Error('no task came');
  return delivery;
}

async function receive(server: ServerTransport): Promise<Arrival> {
  const arrival = await server.receive(forever);
  if (arrival === null) throw new Error('nothing arrived');
  return arrival;
}

const textOf = async (arrival: Arrival) => new TextDecoder().decode(await arrival.read());

/** Resolves to whether `promise` has settled once all pending callbacks have run. */
async function settles(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => (settled = true)).catch(() => {});
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

/** The contract of every transport (worker/transport/contract.ts). `make` creates a new one for each test. */
export function transportContract(t: Test, name: string, make: (t: Test) => Promise<TransportUnderTest>): void {
  const promise = (says: string, check: (t: Test, parts: TransportUnderTest) => Promise<void>) =>
    t.test(`${name}: ${says}`, async (t) => {
      const parts = await make(t);
      await check(t, parts);
      await parts.server.close();
    });

  promise('a task, its package and its answer travel', async (t, { server, connect }) => {
    await server.publish(round, sealed('package'));
    await server.dispatch(task(3));
    const client = await connect();
    const delivery = await take(client);
    t.strictSame(delivery.task, task(3));
    t.notOk(delivery.withdrawn.aborted);
    t.strictSame(Buffer.from(await client.fetch(delivery.task)).toString(), 'package');
    await client.submit(delivery, answer('trained'));
    const arrival = await receive(server);
    t.equal(arrival.header, '{"says":"trained"}');
    t.equal(arrival.bytes, 7);
    t.equal(await textOf(arrival), 'trained');
  });

  promise('bytes are values: a change at one end is not seen at the other', async (t, { server, connect }) => {
    // A Buffer's slice shares its memory.
    const roundPackage = { ...sealed('package'), bytes: Buffer.from('package') };
    await server.publish(round, roundPackage);
    roundPackage.bytes.fill(0);
    await server.dispatch(task(0));
    const client = await connect();
    const delivery = await take(client);
    const first = await client.fetch(delivery.task);
    first.fill(0);
    t.equal(Buffer.from(await client.fetch(delivery.task)).toString(), 'package');
    const payload = Buffer.from('trained');
    await client.submit(delivery, { ...answer('trained'), payload });
    payload.fill(0);
    t.equal(await textOf(await receive(server)), 'trained');
  });

  promise('a client that waits is given what comes; each task goes to one client', async (t, { server, connect }) => {
    const [a, b] = [await connect(), await connect()];
    const waiting = [take(a), take(b)];
    for (const client of [0, 1]) await server.dispatch(task(client));
    const taken = await Promise.all(waiting);
    t.strictSame(taken.map(({ task }) => task.client).sort(), [0, 1]);
  });

  promise('backpressure on tasks: a client holds no more than it asked for', async (t, { server, connect }) => {
    for (const client of [0, 1, 2]) await server.dispatch(task(client));
    const [a, b] = [await connect(), await connect()];
    const first = await take(a);
    const others = [await take(b), await take(b)];
    t.strictSame(
      [first, ...others].map(({ task }) => task.client),
      [0, 1, 2],
    );
  });

  promise(
    'backpressure on answers: many that the server has not taken are all there when it does',
    async (t, { server, connect }) => {
      const client = await connect();
      const count = 50;
      const submitting: Promise<void>[] = [];
      for (let i = 0; i < count; i++) {
        await server.dispatch(task(i));
        submitting.push(client.submit(await take(client), answer(String(i))));
      }
      const texts: string[] = [];
      for (let i = 0; i < count; i++) texts.push(await textOf(await receive(server)));
      await Promise.all(submitting);
      t.strictSame(
        texts.map(Number).sort((a, b) => a - b),
        Array.from({ length: count }, (_, i) => i),
      );
    },
  );

  promise('dispatch is idempotent while the task is queued or worked on', async (t, { server, connect }) => {
    await server.dispatch(task(0));
    await server.dispatch(task(0));
    const client = await connect();
    const delivery = await take(client);
    await server.dispatch(task(0));
    await server.dispatch(task(1));
    t.equal((await take(client)).task.client, 1);
    await client.submit(delivery, answer('once'));
    await server.dispatch(task(0, 'package', { attempt: 2 }));
    t.strictSame((await take(client)).task, task(0, 'package', { attempt: 2 }), 'another attempt is another task');
  });

  promise('at least once: the task of a client that went away goes to another', async (t, { server, connect }) => {
    for (const client of [0, 1]) await server.dispatch(task(client));
    const [a, b] = [await connect(), await connect()];
    t.equal((await take(a)).task.client, 0);
    await a.close();
    const taken = [await take(b), await take(b)];
    t.strictSame(taken.map(({ task }) => task.client).sort(), [0, 1]);
    t.equal(await a.take(forever), null, 'a closed client is given nothing');
  });

  promise(
    'at least once: a client that went away while it waited takes nothing along',
    async (t, { server, connect }) => {
      const [a, b] = [await connect(), await connect()];
      const waiting = a.take(forever);
      const closing = a.close();
      await server.dispatch(task(0));
      t.equal(await waiting, null);
      await closing;
      t.equal((await take(b)).task.client, 0);
    },
  );

  promise(
    'a task that comes as one of two waiting clients gives up goes to the other',
    async (t, { server, connect }) => {
      const [a, b] = [await connect(), await connect()];
      const stop = new AbortController();
      const [first, second] = [a.take(stop.signal), take(b)];
      t.notOk(await settles(Promise.race([first, second])));
      const dispatched = server.dispatch(task(0));
      stop.abort();
      await dispatched;
      const delivery = (await first) ?? (await second);
      t.equal(delivery.task.client, 0);
      await server.dispatch(task(1));
      if ((await first) !== null) t.equal((await second).task.client, 1);
    },
  );

  promise('a result is not hashed on its way: its sender has, and its judge will', async (t, { server, connect }) => {
    await server.dispatch(task(0));
    const client = await connect();
    const delivery = await take(client);
    const submission = answer('trained');
    const hashes = countHashes();
    try {
      await client.submit(delivery, submission);
      const payload = await (await receive(server)).read();
      t.strictSame(Buffer.from(payload), Buffer.from(submission.payload));
      t.equal(hashes.count(), 0);
      sha256(payload);
      t.equal(hashes.count(), 1, 'they are counted');
    } finally {
      hashes.stop();
    }
  });

  promise(
    'duplicates, strangers and corrupted bytes arrive as they are: the server judges',
    async (t, { server, connect }) => {
      await server.dispatch(task(0));
      const client = await connect();
      const delivery = await take(client);
      await client.submit(delivery, answer('good'));
      await client.submit(delivery, answer('again'));
      await client.submit(
        { ...delivery, task: task(99) },
        // A digest that is not the payload's.
        { header: 'not even JSON', payload: Uint8Array.of(0xff, 0, 1), sha256: sha256(Uint8Array.of(1)) },
      );
      t.equal(await textOf(await receive(server)), 'good');
      t.equal(await textOf(await receive(server)), 'again');
      const stranger = await receive(server);
      t.equal(stranger.header, 'not even JSON');
      t.strictSame([...(await stranger.read())], [0xff, 0, 1]);
    },
  );

  promise('an answer that comes after the round still arrives: the server judges', async (t, { server, connect }) => {
    await server.publish(round, sealed('package'));
    await server.dispatch(task(0));
    const client = await connect();
    const delivery = await take(client);
    await server.unlink(round);
    await client.submit(delivery, answer('late'));
    t.equal(await textOf(await receive(server)), 'late');
  });

  promise(
    'unlink ends a round: tasks, package and deliveries go; those of another attempt stay',
    async (t, { server, connect }) => {
      const next = { ...round, attempt: 2 };
      await server.publish(round, sealed('package'));
      await server.publish(next, sealed('package'));
      for (const client of [0, 1]) await server.dispatch(task(client));
      const client = await connect();
      const delivery = await take(client);
      await server.dispatch(task(0, 'package', next));
      await server.unlink(round);
      if (!delivery.withdrawn.aborted)
        await new Promise((resolve) => delivery.withdrawn.addEventListener('abort', resolve));
      t.pass('the delivery is withdrawn');
      await t.rejects(client.fetch(delivery.task), Refused);
      const other = await take(client);
      t.strictSame(other.task, task(0, 'package', next));
      t.notOk(other.withdrawn.aborted);
      t.equal(Buffer.from(await client.fetch(other.task)).toString(), 'package');
    },
  );

  promise('a package is checked: its digest and its size are the task’s', async (t, { server, connect }) => {
    await server.publish(round, sealed('package'));
    const client = await connect();
    const refused = (reason: string) => (error: unknown) => error instanceof Refused && error.reason === reason;
    for (const wrong of [task(0, 'PACKAGE'), task(0, 'package', { bytes: 6 })]) {
      const error = await client.fetch(wrong).then(
        () => null,
        (error: unknown) => error,
      );
      t.ok(refused('wrong-digest')(error), String(error));
    }
    const error = await client.fetch(task(0, 'package', { round: 7 })).then(
      () => null,
      (error: unknown) => error,
    );
    t.ok(refused('late')(error), String(error));
  });

  promise('published again, a package is still there', async (t, { server, connect }) => {
    await server.publish(round, sealed('package'));
    await server.publish(round, sealed('package'));
    t.equal(Buffer.from(await (await connect()).fetch(task(0))).toString(), 'package');
  });

  promise('cancellation: whoever waits gets null, and nothing is lost by it', async (t, { server, connect }) => {
    const client = await connect();
    const stop = new AbortController();
    const waiting = Promise.all([client.take(stop.signal), server.receive(stop.signal)]);
    t.notOk(await settles(waiting));
    stop.abort();
    t.strictSame(await waiting, [null, null]);
    await server.dispatch(task(0));
    t.equal(await client.take(stop.signal), null, 'an aborted signal takes no task');
    const delivery = await take(client);
    await client.submit(delivery, answer('done'));
    const arrived = await server.receive(stop.signal).then((arrival) => arrival ?? receive(server));
    t.equal(await textOf(arrived), 'done');
  });

  promise(
    'close with work pending: pending calls return null, and later calls fail',
    async (t, { server, connect }) => {
      const [idle, busy] = [await connect(), await connect()];
      await server.dispatch(task(0));
      await take(busy);
      await server.dispatch(task(1));
      const arriving = server.receive(forever);
      t.notOk(await settles(arriving));
      await server.close();
      t.equal(await arriving, null);
      t.equal(await server.receive(forever), null);
      await t.rejects(server.dispatch(task(2)), { name: 'TransportClosed' });
      await t.rejects(server.publish(round, sealed('package')), { name: 'TransportClosed' });
      await Promise.all([idle.close(), busy.close()]);
    },
  );
}
