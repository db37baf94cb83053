import t from 'tap';
import { Feed } from '../../worker/run/pod/feed.ts';

/** A feed whose writes the test lets through, one by one. */
function gated(pauseMs: number) {
  const written: number[] = [];
  const errors: unknown[] = [];
  const waiting: PromiseWithResolvers<void>[] = [];
  const write = async (value: number) => {
    const gate = Promise.withResolvers<void>();
    waiting.push(gate);
    await gate.promise;
    written.push(value);
  };
  return {
    feed: new Feed(write, pauseMs, (error) => void errors.push(error)),
    written,
    errors,
    next: () => waiting.shift(),
    /** Once a write waits to be let through. */
    begun: async () => {
      while (waiting.length === 0) await new Promise(setImmediate);
    },
  };
}

const NEVER_MS = 1_000_000;

t.test('what is overtaken is left out, what was told last is written', async (t) => {
  const { feed, written, next } = gated(NEVER_MS);
  for (const value of [1, 2, 3]) feed.tell(value);
  next()?.resolve();
  t.equal(next(), undefined, 'one write at a time');
  await new Promise(setImmediate);
  t.same(written, [1]);
  feed.tell(4);
  await new Promise(setImmediate);
  t.equal(next(), undefined, 'the next waits for its pause');
  const settled = feed.settle();
  await new Promise(setImmediate);
  next()?.resolve();
  await settled;
  t.same(written, [1, 4]);
});

t.test('a write that failed is tried again, unless something newer came', async (t) => {
  const { feed, written, errors, next, begun } = gated(0);
  feed.tell(1);
  next()?.reject(new Error('out of memory'));
  await begun();
  next()?.resolve();
  await new Promise(setImmediate);
  t.same(written, [1]);
  feed.tell(2);
  await begun();
  feed.tell(3);
  next()?.reject(new Error('out of memory'));
  await begun();
  next()?.resolve();
  await feed.settle();
  t.same(written, [1, 3]);
  t.match(errors, [{ message: 'out of memory' }, { message: 'out of memory' }]);
});

t.test('the end does not wait for a write that only fails', async (t) => {
  let tries = 0;
  const feed = new Feed<number>(
    async () => Promise.reject(new Error(`try ${++tries}`)),
    NEVER_MS,
    () => undefined,
  );
  feed.tell(1);
  await new Promise(setImmediate);
  await feed.settle();
  t.equal(tries, 2);
});
