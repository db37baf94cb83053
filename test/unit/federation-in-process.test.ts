import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { SweepProgress } from '../../crds/facts/events.ts';
import { federatedAverage } from '../../worker/federation/aggregation.ts';
import { systemClock } from '../../worker/federation/clock.ts';
import type { LoraState } from '../../worker/federation/contracts.ts';
import type { Trace } from '../../worker/federation/round-context.ts';
import { initialLora, localTrainer, quadraticAligner, samplesOf, settings } from '../support/quadratic-federation.ts';
import { digest, runQuadratic } from '../support/quadratic-run.ts';

t.test(
  'a worker that fails outside of training ends the run with its error, after a checkpoint',
  { timeout: 20_000 },
  async (t) => {
    const root = t.testdir();
    const job = settings({ rounds: 3 });
    const expected = await runQuadratic(join(root, 'whole'), job);
    const folder = join(root, 'run');
    // An error that cannot be converted to text, and therefore not be reported to the server.
    const trainers = [{ train: () => Promise.reject(Object.create(null)) }];
    await t.rejects(runQuadratic(folder, job, { trainers }), { name: 'TypeError', message: /Cannot convert object/ });
    t.ok(readdirSync(join(folder, 'checkpoints')).some((name) => name.startsWith('round-')));
    t.equal(digest(await runQuadratic(folder, job)), digest(expected));
  },
);

t.test('the progress of states that steps wait for is reported, of an alignment and of clients', async (t) => {
  const heard: SweepProgress[] = [];
  const waits = settings({ rounds: 1, clients: 2 });
  const [trainer, aligner] = [localTrainer({ steps: 5 }), quadraticAligner({ initialSteps: 1, stepsPerRound: 1 })];
  const done = 0.5;
  await runQuadratic(join(t.testdir(), 'run'), waits, {
    trainers: [
      {
        train: (input) => {
          input.onSweep({ phase: 'local', round: input.round, client: input.client, done });
          return trainer.train(input);
        },
      },
    ],
    aligner: {
      steps: aligner.steps,
      align: (input) => {
        input.onSweep({ phase: 'align', round: input.round, client: null, done });
        return aligner.align(input);
      },
    },
    onSweep: (sweep) => heard.push(sweep),
  });
  t.strictSame(heard, [
    { phase: 'align', round: 1, client: null, done },
    { phase: 'local', round: 1, client: 0, done },
    { phase: 'local', round: 1, client: 1, done },
  ]);
});

t.test('a trace has every LoRA state a replay compares', async (t) => {
  const initial: LoraState[] = [];
  const aligned = new Map<number, LoraState>();
  const clients = new Map<string, Float32Array>();
  const means = new Map<number, Float32Array>();
  const trace: Trace = {
    initial: async (lora) => void initial.push(lora),
    aligned: async (round, lora) => void aligned.set(round, lora),
    client: async (round, client, adapter) => void clients.set(`${round}/${client}`, adapter),
    aggregated: async (round, adapter) => void means.set(round, adapter),
  };
  const { lora } = await runQuadratic(join(t.testdir(), 'run'), settings({ rounds: 2, clients: 3 }), {
    trace,
    workers: 3,
  });
  t.strictSame(initial, [initialLora()]);
  t.strictSame([...aligned.keys()], [1, 2]);
  t.strictSame([...clients.keys()].sort(), ['1/0', '1/1', '1/2', '2/0', '2/1', '2/2']);
  t.strictSame(aligned.get(1)?.adapter, initialLora().adapter);
  t.strictSame(aligned.get(2)?.adapter, means.get(1));
  async function* updates() {
    for (const client of [0, 1, 2]) yield { samples: samplesOf(client), adapter: clients.get(`2/${client}`)! };
  }
  t.strictSame(means.get(2), await federatedAverage(lora.adapter.length, updates()));
  t.strictSame(lora, { adapter: means.get(2), emulator: aligned.get(2)?.emulator });
});

t.test('a result lost between its arrival and the mean is an error, and is never left out', async (t) => {
  const folder = join(t.testdir(), 'run');
  const lose = (event: { event: string; phase?: string; round?: number }) => {
    if (event.event === 'phase' && event.phase === 'aggregate' && event.round === 2) {
      rmSync(join(folder, 'checkpoints', 'received', 'round-2-attempt-1', 'client-1.safetensors'));
    }
  };
  const failed = runQuadratic(folder, settings({ rounds: 2 }), { onEvent: lose });
  await t.rejects(failed, { name: 'UserError', message: /client-1\.safetensors is missing/, hint: /--resume/ });
});

t.test('the system’s clock', async (t) => {
  const before = systemClock.now();
  const { signal } = systemClock.deadline(0.01);
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  t.ok(systemClock.now() - before >= 0.009);
  const year = systemClock.deadline(365 * 86_400);
  const never = systemClock.deadline(0);
  const cancelled = systemClock.deadline(0.01);
  cancelled.cancel();
  await new Promise((resolve) => systemClock.deadline(0.03).signal.addEventListener('abort', resolve));
  t.strictSame(
    [year, never, cancelled].map(({ signal }) => signal.aborted),
    [false, false, false],
  );
  year.cancel();
  never.cancel();
});
