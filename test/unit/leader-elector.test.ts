import fc from 'fast-check';
import t from 'tap';
import { LEASE_TIMES, LeaderElector } from '../../operator/leader/elector.ts';
import type { LeaseRecord, LeaseStore, StoredLease } from '../../operator/leader/lease.ts';
import { createLog } from '../../operator/process/log.ts';
import { ManualClock, settled } from '../support/manual-clock.ts';

/**
 * The fate of a request: milliseconds until the API server acts, then until its response arrives; or the request, or
 * its response, is lost.
 */
interface Fate {
  readonly toServer: number;
  readonly toClient: number;
  readonly lost: 'request' | 'answer' | null;
}

const PROMPT: Fate = { toServer: 0, toClient: 0, lost: null };

/** An API server with one lease, as candidates reach it. */
class LeaseServer {
  lease: StoredLease | null = null;
  readonly #clock: ManualClock;
  #version = 0;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  put(record: LeaseRecord): StoredLease {
    this.lease = { record, version: String(++this.#version) };
    return this.lease;
  }

  reach(fate: () => Fate): LeaseStore {
    const travel = (ms: number) =>
      new Promise<void>((resolve) => (ms === 0 ? resolve() : void this.#clock.after(ms, resolve)));
    const ask = async <T>(act: () => T): Promise<T> => {
      const { toServer, toClient, lost } = fate();
      await travel(toServer);
      if (lost === 'request') throw new Error('no route');
      const answer = act();
      await travel(toClient);
      if (lost === 'answer') throw new Error('connection reset');
      return answer;
    };
    return {
      read: () => ask(() => this.lease),
      create: (record) => ask(() => (this.lease === null ? this.put(record) : null)),
      replace: (version, record) => ask(() => (this.lease?.version === version ? this.put(record) : null)),
    };
  }
}

function world() {
  const clock = new ManualClock();
  const server = new LeaseServer(clock);
  const events: string[] = [];
  const candidate = (
    identity: string,
    { fate = () => PROMPT, skewMs = 0, random = 0 }: { fate?: () => Fate; skewMs?: number; random?: number } = {},
  ) => {
    return new LeaderElector({
      store: server.reach(fate),
      identity,
      times: LEASE_TIMES,
      clock,
      now: () => 1_800_000_000_000 + clock.now() + skewMs,
      random: () => random,
      log: createLog('error', { write: () => {} }),
      elected: () => void events.push(`${identity} leads`),
      lost: () => void events.push(`${identity} lost`),
    });
  };
  return { clock, server, events, candidate };
}

t.test('the first candidate leads, and renews the lease', async (t) => {
  const { clock, server, events, candidate } = world();
  const a = candidate('a');
  const b = candidate('b', { skewMs: 3_600_000 });
  a.start();
  b.start();
  await clock.turn(60_000);
  t.same(events, ['a leads']);
  t.ok(a.leads());
  t.notOk(b.leads());
  const { record } = server.lease ?? {};
  t.match(record, { holder: 'a', durationSeconds: 15, transitions: 0 });
  t.equal((record?.renewedAt ?? 0) - (record?.acquiredAt ?? 0), 60_000);
  await a.stop();
  await clock.turn(2000);
  t.same(events, ['a leads', 'b leads'], 'as soon as b asks again, whatever its clock says');
  t.match(server.lease?.record, { holder: 'b', transitions: 1 });
  await b.stop();
  t.match(server.lease?.record, { holder: '', durationSeconds: 1 });
  t.ok(clock.idle);
});

t.test('candidates wait for the duration of a dead leader’s lease', async (t) => {
  const { clock, server, events, candidate } = world();
  // It was renewed an hour ago by its owner's clock; this process has just seen the renewal.
  server.put({ holder: 'gone', durationSeconds: 20, acquiredAt: 0, renewedAt: 0, transitions: 4 });
  const a = candidate('a');
  a.start();
  await clock.turn(19_999);
  t.same(events, []);
  await clock.turn(2001);
  t.same(events, ['a leads']);
  t.equal(server.lease?.record.transitions, 5);
  await a.stop();
});

t.test('a leader that cannot renew gives up before anyone else may lead', async (t) => {
  const { clock, events, candidate } = world();
  let cut = false;
  const a = candidate('a', { fate: () => (cut ? { ...PROMPT, toServer: 1_000_000 } : PROMPT) });
  const b = candidate('b');
  a.start();
  b.start();
  await clock.turn(1000);
  cut = true;
  await clock.turn(8999);
  t.ok(a.leads());
  await clock.turn(1);
  t.same(events, ['a leads', 'a lost'], 'while its request is still on the way');
  t.notOk(a.leads());
  await clock.turn(4000);
  t.same(events.slice(2), []);
  await clock.turn(4000);
  t.same(events.slice(2), ['b leads']);
  await b.stop();
});

t.test('a renewal counts from its request, because others may have seen it since', async (t) => {
  const { clock, candidate } = world();
  let cut = false;
  const a = candidate('a', { fate: () => (cut ? { ...PROMPT, toServer: 1_000_000 } : { ...PROMPT, toClient: 4000 }) });
  a.start();
  await clock.turn(8000);
  t.ok(a.leads(), 'it has read for 4 s and asked for 4 s');
  cut = true;
  await clock.turn(5999);
  t.ok(a.leads());
  await clock.turn(1);
  t.notOk(a.leads());
});

t.test('a process that was suspended does not consider itself the leader', async (t) => {
  const { clock, events, candidate } = world();
  const a = candidate('a');
  a.start();
  await clock.turn(1000);
  clock.sleep(20_000);
  t.notOk(a.leads(), 'before any of its timers');
  await clock.turn(0);
  t.same(events, ['a leads', 'a lost']);
});

t.test('a leader whose lease was taken stops at once; a deleted lease is created again', async (t) => {
  const { clock, server, events, candidate } = world();
  const a = candidate('a');
  a.start();
  await clock.turn(0);
  server.lease = null;
  await clock.turn(2000);
  t.equal(server.lease, null, 'what it renews is not there');
  t.ok(a.leads());
  await clock.turn(2000);
  t.match(server.lease, { record: { holder: 'a' } });
  server.put({ holder: 'b', durationSeconds: 15, acquiredAt: 0, renewedAt: 0, transitions: 1 });
  await clock.turn(2000);
  await clock.turn(20_000);
  t.same(events, ['a leads', 'a lost'], 'once');
  await a.stop();
  t.match(server.lease, { record: { holder: 'b' } }, "another's lease is not released");
});

t.test('a candidate asks every two seconds, or up to 1.2 times later', async (t) => {
  for (const [random, times] of [
    [0, 6],
    [1, 3],
  ] as const) {
    const { clock, server, candidate } = world();
    server.put({ holder: 'b', durationSeconds: 15, acquiredAt: 0, renewedAt: 0, transitions: 0 });
    let asked = 0;
    const a = candidate('a', { fate: () => (asked++, PROMPT), random });
    a.start();
    await clock.turn(10_000);
    t.equal(asked, times);
    await a.stop();
  }
});

t.test('a candidate that is stopped during a request releases the lease that it gets', async (t) => {
  const { clock, server, events, candidate } = world();
  const a = candidate('a', { fate: () => ({ ...PROMPT, toClient: 500 }) });
  a.start();
  const stopped = a.stop();
  await clock.turn(5000);
  await stopped;
  t.same(events, []);
  t.equal(server.lease?.record.holder, '');
});

t.test('with any network faults, two never lead, and one leads once they end', async (t) => {
  const seed = Date.now() % 2 ** 31;
  t.comment(`fast-check seed ${seed}`);
  const fate: fc.Arbitrary<Fate> = fc.record({
    toServer: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 12_000 })),
    toClient: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 12_000 })),
    lost: fc.constantFrom(null, null, null, 'request' as const, 'answer' as const),
  });
  const fates = fc.array(fate, { minLength: 1, maxLength: 40 });
  const steps = fc.array(
    fc.record({ ms: fc.integer({ min: 1, max: 9000 }), stop: fc.constantFrom(null, null, null, null, 0, 1, 2) }),
    { maxLength: 30 },
  );
  await fc.assert(
    fc.asyncProperty(fc.tuple(fates, fates, fates), steps, async (perCandidate, turns) => {
      const { clock, candidate } = world();
      let quiet = false;
      const electors = perCandidate.map((own, index) => {
        let next = 0;
        return candidate(`c${index}`, {
          fate: () => (quiet ? PROMPT : (own[next++] ?? PROMPT)),
          skewMs: index * 100_000,
        });
      });
      const look = () => {
        if (electors.filter((elector) => elector.leads()).length > 1) throw new Error('two lead');
      };
      for (const elector of electors) elector.start();
      const ended = new Set<LeaderElector>();
      const stops: Promise<void>[] = [];
      for (const { ms, stop } of turns) {
        const elector = stop === null ? undefined : electors[stop];
        if (elector !== undefined && ended.size < 2 && !ended.has(elector)) {
          ended.add(elector);
          stops.push(elector.stop());
        }
        for (let passed = 0; passed < ms; passed += 250) {
          await clock.turn(250);
          look();
        }
      }
      quiet = true;
      const last = candidate('last');
      electors.push(last);
      last.start();
      for (let passed = 0; passed < 60_000; passed += 250) {
        await clock.turn(250);
        look();
      }
      if (!electors.some((elector) => elector.leads())) throw new Error('nobody leads');
      for (const elector of electors) stops.push(elector.stop());
      for (let passed = 0; passed < 30_000; passed += 1000) await clock.turn(1000);
      await Promise.all(stops);
      await settled();
    }),
    { seed, numRuns: 100 },
  );
});
