import t from 'tap';
import { LatestWriter } from '../../worker/run/pod/latest-writer.ts';

/** A writer whose writes the test completes one by one. */
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
    writer: new LatestWriter(write, pauseMs, (error) => void errors.push(error)),
    written,
    errors,
    next: () => waiting.shift(),
    /** Waits until a write has started. */
    begun: async () => {
      while (waiting.length === 0) await new Promise(setImmediate);
    },
  };
}

const NEVER_MS = 1_000_000;

t.test('superseded values are skipped, and the last value is written', async (t) => {
  const { writer, written, next } = gated(NEVER_MS);
  for (const value of [1, 2, 3]) writer.put(value);
  next()?.resolve();
  t.equal(next(), undefined, 'one write at a time');
  await new Promise(setImmediate);
  t.same(written, [1]);
  writer.put(4);
  await new Promise(setImmediate);
  t.equal(next(), undefined, 'the next waits for its pause');
  const settled = writer.settle();
  await new Promise(setImmediate);
  next()?.resolve();
  await settled;
  t.same(written, [1, 4]);
});

t.test('a failed write is retried, unless a newer value supersedes it', async (t) => {
  const { writer, written, errors, next, begun } = gated(0);
  writer.put(1);
  next()?.reject(new Error('out of memory'));
  await begun();
  next()?.resolve();
  await new Promise(setImmediate);
  t.same(written, [1]);
  writer.put(2);
  await begun();
  writer.put(3);
  next()?.reject(new Error('out of memory'));
  await begun();
  next()?.resolve();
  await writer.settle();
  t.same(written, [1, 3]);
  t.match(errors, [{ message: 'out of memory' }, { message: 'out of memory' }]);
});

t.test('settling does not wait for a write that keeps failing', async (t) => {
  let tries = 0;
  const writer = new LatestWriter<number>(
    async () => Promise.reject(new Error(`try ${++tries}`)),
    NEVER_MS,
    () => undefined,
  );
  writer.put(1);
  await new Promise(setImmediate);
  await writer.settle();
  t.equal(tries, 2);
});
