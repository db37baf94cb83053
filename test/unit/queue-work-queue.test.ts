import fc from 'fast-check';
import t from 'tap';
import { WorkQueue } from '../../operator/queue/work-queue.ts';
import { createLog } from '../../operator/process/log.ts';
import { ManualClock, settled } from '../support/manual-clock.ts';

interface Work {
  readonly key: string;
  end(againMs?: number | null): void;
  fail(): void;
}

/** A queue whose work the test starts and ends. */
function queueOf({ workers = 2, isBroken = false } = {}) {
  const clock = new ManualClock();
  const seen = {
    begun: [] as string[],
    retries: [] as number[],
    depth: 0,
    waited: [] as number[],
    worked: [] as number[],
    log: '',
  };
  const underWay: Work[] = [];
  const queue = new WorkQueue({
    workers,
    clock,
    metrics: {
      added: (depth) => void (seen.depth = depth),
      taken(depth, waitedSeconds) {
        seen.depth = depth;
        seen.waited.push(waitedSeconds);
      },
      done: (workedSeconds) => void seen.worked.push(workedSeconds),
      retried: () => {},
    },
    log: createLog('info', { write: (line) => void (seen.log += line) }),
    work(key) {
      seen.begun.push(key);
      return new Promise((resolve, reject) => {
        const remove = (work: Work) => underWay.splice(underWay.indexOf(work), 1);
        const work: Work = {
          key,
          end(againMs = null) {
            remove(work);
            resolve(againMs);
          },
          fail() {
            remove(work);
            reject(new Error('conflict'));
          },
        };
        underWay.push(work);
      });
    },
    failed(_key, _error, retryMs) {
      seen.retries.push(retryMs);
      if (isBroken) throw new Error('whoever is told of failures fails');
    },
  });
  return { clock, queue, seen, underWay };
}

function started(options: { workers?: number; isBroken?: boolean } = {}) {
  const made = queueOf(options);
  made.queue.start();
  return made;
}

t.test('a key waits once, and a key that is processed waits until that ends', async (t) => {
  const { queue, seen, underWay, clock } = started();
  for (const key of ['a', 'b', 'c', 'c']) queue.add(key);
  await settled();
  t.same(seen.begun, ['a', 'b'], 'two workers');
  t.equal(seen.depth, 1);
  queue.add('a');
  queue.add('a');
  await clock.turn(3000);
  underWay[0]?.end();
  await settled();
  t.same(seen.begun, ['a', 'b', 'c'], 'in the order in which they were added');
  underWay[0]?.end();
  await settled();
  t.same(seen.begun, ['a', 'b', 'c', 'a'], 'again, once');
  t.same(seen.waited, [0, 0, 3, 3]);
  t.same(seen.worked, [3, 3]);
  t.equal(seen.depth, 0);
});

t.test('a key that adds itself while it is processed is not processed concurrently', async (t) => {
  let most = 0;
  let now = 0;
  let turns = 0;
  const queue: WorkQueue = new WorkQueue({
    workers: 4,
    clock: new ManualClock(),
    metrics: { added() {}, taken() {}, done() {}, retried() {} },
    log: createLog('error'),
    async work(key) {
      most = Math.max(most, ++now);
      if (++turns < 5) queue.add(key);
      await settled();
      now--;
      return null;
    },
    failed() {},
  });
  queue.start();
  queue.add('a');
  for (let waited = 0; waited < 1000 && (turns < 5 || now > 0); waited++) await settled();
  t.equal(most, 1);
  t.equal(turns, 5);
});

t.test('a delayed key, and the earlier of two delays', async (t) => {
  const { queue, seen, clock, underWay } = started();
  queue.addAfter('a', 5000);
  queue.addAfter('a', 1000);
  queue.addAfter('a', 9000);
  await clock.turn(999);
  t.same(seen.begun, []);
  await clock.turn(1);
  t.same(seen.begun, ['a']);
  underWay[0]?.end(2000);
  await clock.turn(1999);
  t.same(seen.begun, ['a']);
  await clock.turn(1);
  t.same(seen.begun, ['a', 'a'], 'as the work asked for');
  t.ok(clock.idle, 'the later times are forgotten');
});

t.test("failures are retried with client-go's backoff, which success ends", async (t) => {
  const { queue, seen, clock, underWay } = started();
  queue.add('a');
  for (let failures = 0; failures < 20; failures++) {
    await settled();
    underWay[0]?.fail();
    await clock.turn(1_000_000);
  }
  t.same(seen.retries.slice(0, 5), [5, 10, 20, 40, 80]);
  t.same(seen.retries.slice(-3), [655_360, 1_000_000, 1_000_000]);
  underWay[0]?.end();
  queue.add('a');
  await settled();
  underWay[0]?.fail();
  await settled();
  t.equal(seen.retries.at(-1), 5);
});

t.test('of many failures a hundred are retried at once, the rest ten a second', async (t) => {
  const { queue, seen, underWay, clock } = started({ workers: 300 });
  for (let each = 0; each < 150; each++) queue.add(`job-${each}`);
  await settled();
  for (const work of [...underWay]) work.fail();
  await settled();
  t.same(
    seen.retries.slice(0, 100),
    Array.from({ length: 100 }, () => 5),
  );
  t.same(
    seen.retries.slice(100).map(Math.round),
    Array.from({ length: 50 }, (_, each) => (each + 1) * 100),
  );
  await clock.turn(10_000);
  t.equal(seen.begun.length, 300, 'none is lost');
});

t.test('keys are accepted only between start and stop, and stop waits for running work', async (t) => {
  const { queue, seen, underWay, clock } = queueOf({ workers: 1 });
  queue.add('early');
  queue.addAfter('early', 1);
  await clock.turn(10);
  queue.start();
  for (const key of ['a', 'b']) queue.add(key);
  queue.addAfter('c', 100);
  await settled();
  let isStopped = false;
  const stopped = queue.stop().then(() => (isStopped = true));
  queue.add('late');
  await clock.turn(1000);
  t.notOk(isStopped);
  underWay[0]?.end(5);
  await stopped;
  await clock.turn(1000);
  t.same(seen.begun, ['a']);
  t.ok(clock.idle);
});

/** Random operations on a queue. */
type Step = {
  readonly kind: 'add' | 'after' | 'end' | 'again' | 'fail' | 'turn';
  readonly key: string;
  readonly ms: number;
};

t.test('no key is lost, and none is processed concurrently', async (t) => {
  const seed = Date.now() % 2 ** 31;
  t.comment(`fast-check seed ${seed}`);
  const step: fc.Arbitrary<Step> = fc.record({
    kind: fc.constantFrom('add', 'add', 'after', 'end', 'end', 'again', 'fail', 'turn'),
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    ms: fc.integer({ min: 0, max: 2000 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), async (steps, workers) => {
      const { queue, seen, underWay, clock } = started({ workers });
      /** Keys that were added and not processed since. */
      const owed = new Set<string>();
      let looked = 0;
      const look = async () => {
        await settled();
        for (const key of seen.begun.slice(looked)) owed.delete(key);
        looked = seen.begun.length;
        const keys = underWay.map(({ key }) => key);
        if (new Set(keys).size !== keys.length) throw new Error(`twice at a time: ${keys}`);
        if (keys.length > workers) throw new Error(`more than ${workers} at a time`);
      };
      for (const { kind, key, ms } of steps) {
        if (kind === 'add') {
          owed.add(key);
          queue.add(key);
        } else if (kind === 'after') {
          owed.add(key);
          queue.addAfter(key, ms);
        } else if (kind === 'turn') {
          await clock.turn(ms);
        } else {
          const work = underWay[ms % Math.max(1, underWay.length)];
          if (work !== undefined && kind !== 'end') owed.add(work.key);
          if (kind === 'fail') work?.fail();
          else work?.end(kind === 'again' ? ms : null);
        }
        await look();
      }
      for (let rest = 0; owed.size > 0 || underWay.length > 0; rest++) {
        if (rest > 1000) throw new Error(`lost: ${[...owed]}`);
        for (const work of [...underWay]) work.end();
        await clock.turn(60_000);
        await look();
      }
      await queue.stop();
    }),
    { seed, numRuns: 200 },
  );
});

t.test('a listener for failures may throw: the key is retried, others are processed, and the queue ends', async (t) => {
  const { queue, seen, underWay, clock } = started({ workers: 1, isBroken: true });
  for (const key of ['a', 'b']) queue.add(key);
  await settled();
  underWay[0]?.fail();
  await settled();
  t.strictSame(seen.begun, ['a', 'b']);
  t.match(seen.log, /whoever is told of failures fails/);
  underWay[0]?.end();
  await settled();
  await clock.turn(1_000);
  t.strictSame(seen.begun, ['a', 'b', 'a']);
  underWay[0]?.fail();
  await queue.stop();
});

t.test('keys of one namespace do not delay those of others', async (t) => {
  const { queue, seen, underWay } = started({ workers: 4 });
  for (let each = 0; each < 100; each++) queue.add(`crowd/${each}`);
  await settled();
  t.strictSame(seen.begun, ['crowd/0', 'crowd/1', 'crowd/2'], 'one worker is left, should these hang');
  for (const key of ['a/job', 'b/job', 'a/other']) queue.add(key);
  await settled();
  t.equal(seen.begun[3], 'a/job');
  underWay.find(({ key }) => key === 'a/job')?.end();
  await settled();
  underWay.find(({ key }) => key === seen.begun[4])?.end();
  await settled();
  t.strictSame([...seen.begun].slice(4, 6).sort(), ['a/other', 'b/job'], 'in turns');
  t.equal(seen.depth, 97);
  underWay.find(({ key }) => key === 'crowd/0')?.end();
  await settled();
  t.equal(seen.begun.length, 7);
});

t.test('failures in one namespace do not delay the retries of others', async (t) => {
  const { queue, seen, underWay } = started();
  for (let each = 0; each < 1000; each++) {
    queue.add('crowd/job');
    await settled();
    underWay[0]?.fail();
    await settled();
  }
  t.ok((seen.retries.at(-1) ?? 0) > 80_000, 'of the crowd, ten a second');
  queue.add('quiet/job');
  await settled();
  underWay[0]?.fail();
  await settled();
  t.equal(seen.retries.at(-1), 5);
});
