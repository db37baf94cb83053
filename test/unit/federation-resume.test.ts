import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { LocalTrainer } from '../../worker/federation/contracts.ts';
import { localTrainer, settings } from '../support/quadratic-federation.ts';
import { digest, metricsOf, runQuadratic } from '../support/quadratic-run.ts';
import type { RunOptions } from '../support/quadratic-run.ts';

const job = settings({ rounds: 3, clients: 4, clientsPerRound: 3, dropoutRate: 0.2, local: { steps: 2 } });

/** Aborts the run at its n-th moment: an event, a local step, or progress of the evaluation. */
function stopAt(n: number): RunOptions & { readonly reached: () => number } {
  const stop = new AbortController();
  let moments = 0;
  const moment = () => {
    if (++moments === n) stop.abort();
  };
  return { signal: stop.signal, onEvent: moment, onLocalStep: moment, onEvaluation: moment, reached: () => moments };
}

t.test('stopped at any moment and resumed: the same adapter, and the same metrics', async (t) => {
  const root = t.testdir();
  const whole = stopAt(Infinity);
  const expected = await runQuadratic(join(root, 'whole'), job, whole);
  const metrics = metricsOf(join(root, 'whole'));
  t.ok(whole.reached() > 50, `${whole.reached()} moments`);

  const interruptedIn = new Set<string>();
  for (let n = 1; n <= whole.reached(); n++) {
    const folder = join(root, `stopped-${n}`);
    const first = await runQuadratic(folder, job, stopAt(n));
    if (first.outcome === 'interrupted') {
      const newest = readdirSync(join(folder, 'checkpoints'))
        .filter((name) => name.startsWith('round-'))
        .sort()
        .at(-1)!;
      const { state } = JSON.parse(readFileSync(join(folder, 'checkpoints', newest, 'state.json'), 'utf8'));
      interruptedIn.add(state.at);
    }
    const second = await runQuadratic(folder, job);
    if (second.outcome !== 'succeeded' || digest(second) !== digest(expected))
      t.fail(`stopped at moment ${n}: another adapter`);
    if (JSON.stringify(metricsOf(folder)) !== JSON.stringify(metrics))
      t.strictSame(metricsOf(folder), metrics, `stopped at moment ${n}`);
  }
  t.strictSame(
    [...interruptedIn].sort(),
    ['Aggregate', 'Align', 'Checkpoint', 'Collect', 'Evaluate', 'Publish'],
    'every state was met',
  );
});

t.test('a run that is stopped at every second moment still finishes', async (t) => {
  const root = t.testdir();
  const expected = await runQuadratic(join(root, 'whole'), job);
  let parts = 0;
  for (;;) {
    const { outcome, ...rest } = await runQuadratic(join(root, 'parts'), job, stopAt(5));
    parts++;
    if (outcome === 'succeeded') {
      t.equal(digest(rest), digest(expected));
      break;
    }
    if (parts > 200) return t.fail('it never ends');
  }
  t.ok(parts > 5, `${parts} parts`);
  t.strictSame(metricsOf(join(root, 'parts')), metricsOf(join(root, 'whole')));
});

t.test('a finished run that is resumed has nothing left to do', async (t) => {
  const root = join(t.testdir(), 'run');
  const first = await runQuadratic(root, job);
  const events: RunEvent[] = [];
  const again = await runQuadratic(root, job, { onEvent: (event) => events.push(event) });
  t.equal(again.outcome, 'succeeded');
  t.equal(digest(again), digest(first));
  t.strictSame(events, []);
});

t.test('checkpoints every second round give the same result, and fewer files', async (t) => {
  const root = t.testdir();
  const sparse = { ...job, checkpoint: { everyRounds: 2, keep: 1 } };
  const expected = await runQuadratic(join(root, 'whole'), job);
  for (const n of [20, 45, 60]) {
    const folder = join(root, `sparse-${n}`);
    await runQuadratic(folder, sparse, stopAt(n));
    t.equal(digest(await runQuadratic(folder, sparse)), digest(expected));
    t.strictSame(readdirSync(join(folder, 'checkpoints')).sort(), ['round-0003']);
  }
});

t.test('results that were received are not asked for again, unless they have become unreadable', async (t) => {
  const root = t.testdir();
  const expected = await runQuadratic(join(root, 'whole'), settings({ rounds: 2, clients: 4 }));
  const trained: string[] = [];
  const trainer = localTrainer({ steps: 5 });
  const noting: LocalTrainer = {
    train: (input) => (trained.push(`${input.round}/${input.client}`), trainer.train(input)),
  };

  const folder = join(root, 'run');
  const stop = new AbortController();
  await runQuadratic(folder, settings({ rounds: 2, clients: 4 }), {
    signal: stop.signal,
    trainers: [noting],
    onEvent: (event) => event.event === 'client' && event.round === 2 && event.client === 2 && stop.abort(),
  });
  t.ok(trained.includes('2/2'));
  const received = join(folder, 'checkpoints', 'received', 'round-2-attempt-1');
  const file = join(received, 'client-1.safetensors');
  const bytes = readFileSync(file);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(file, bytes);

  trained.length = 0;
  const warnings: string[] = [];
  const resumed = await runQuadratic(folder, settings({ rounds: 2, clients: 4 }), {
    trainers: [noting],
    onEvent: (event) => event.event === 'warning' && warnings.push(event.message),
  });
  t.strictSame(trained, ['2/1', '2/3']);
  t.match(warnings, [/^round 2: the stored result of client 1 cannot be used: .*SHA-256.*; it trains again$/]);
  t.equal(digest(resumed), digest(expected));
  t.notOk(existsSync(received), 'results of a finished round are removed');
});
