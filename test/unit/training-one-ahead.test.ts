import t from 'tap';
import { oneAhead } from '../../worker/training/steps.ts';

/** Work that the test completes. */
function workshop() {
  const log: string[] = [];
  const open = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  const ask = (item: number) => {
    log.push(`ask ${item}`);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    open.set(item, { resolve: () => resolve(item), reject });
    return Promise.resolve({ result: promise });
  };
  return {
    log,
    ask,
    done: (item: number) => open.get(item)!.resolve(),
    failed: (item: number, error: Error) => open.get(item)!.reject(error),
  };
}

async function all<T>(results: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const result of results) found.push(result);
  return found;
}

const soon = () => new Promise((resolve) => setImmediate(resolve));

t.test('requests one item while the previous one is computed', async (t) => {
  const { log, ask, done } = workshop();
  const consumed = (async () => {
    for await (const result of oneAhead([0, 1, 2, 3], ask)) log.push(`result ${result}`);
  })();
  await soon();
  t.strictSame(log, ['ask 0', 'ask 1']);
  // Results are in order, whichever is completed first.
  done(1);
  await soon();
  t.strictSame(log, ['ask 0', 'ask 1']);
  done(0);
  await soon();
  t.strictSame(log.slice(2), ['result 0', 'ask 2', 'result 1', 'ask 3']);
  done(2);
  done(3);
  await consumed;
  t.strictSame(log.slice(6), ['result 2', 'result 3']);
});

t.test('no items, and one item', async (t) => {
  const { ask, done } = workshop();
  t.strictSame(await all(oneAhead([], ask)), []);
  const one = all(oneAhead([7], ask));
  await soon();
  done(7);
  t.strictSame(await one, [7]);
});

t.test('a failure is thrown in order, and the following request is abandoned', async (t) => {
  const { log, ask, done, failed } = workshop();
  const consumed = all(oneAhead([0, 1, 2], ask));
  await soon();
  failed(1, new Error('the second'));
  done(0);
  await t.rejects(consumed, new Error('the second'));
  failed(2, new Error('nobody listens'));
  await soon();
  t.strictSame(log, ['ask 0', 'ask 1', 'ask 2']);
});

t.test('a failed request ends the iteration', async (t) => {
  const { ask, done } = workshop();
  const asked = (item: number) => (item === 1 ? Promise.reject(new Error('stopped')) : ask(item));
  const consumed = all(oneAhead([0, 1, 2], asked));
  await t.rejects(consumed, new Error('stopped'));
  done(0);
});
