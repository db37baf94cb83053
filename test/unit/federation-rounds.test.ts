// Rounds of a federation of quadratics with a known optimum.
import t from 'tap';
import type { Clock } from '../../worker/federation/clock.ts';
import type { LocalTrainer } from '../../worker/federation/contracts.ts';
import { sealRound } from '../../worker/federation/lora-package.ts';
import { drawClients } from '../../worker/federation/sampling.ts';
import { seal } from '../../worker/transport/package.ts';
import {
  emulatorGoal,
  federatedOptimum,
  halfSquaredDistance,
  initialLora,
  layouts,
  localTrainer,
  quadraticAligner,
  samplesOf,
  SEED,
  settings,
} from '../support/quadratic-federation.ts';
import { digest } from '../support/quadratic-run.ts';
import { run } from '../support/recorded-run.ts';
import { manualClock } from '../support/deadline-clock.ts';

t.test('all clients in every round: FedAvg converges to the sample-weighted optimum', async (t) => {
  const { outcome, lora, round, reports, events } = await run(t.testdir(), settings({ rounds: 12, clients: 3 }));
  t.equal(outcome, 'succeeded');
  t.equal(round, 12);
  const best = federatedOptimum(3);
  t.ok(halfSquaredDistance(initialLora().adapter, best) > 1, 'it begins far away');
  t.ok(halfSquaredDistance(lora.adapter, best) < 1e-9, 'the optimum is reached');
  t.ok(halfSquaredDistance(lora.emulator, emulatorGoal(lora.adapter)) < 1e-3, 'the emulator follows the adapter');

  t.strictSame(
    reports.map(({ round }) => round),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
  );
  t.strictSame(reports[0]?.clients, { selected: [0, 1, 2], reported: [0, 1, 2], dropped: [], refused: [] });
  const evaluated = reports.filter(({ evaluation }) => evaluation !== undefined);
  t.strictSame(
    evaluated.map(({ round }) => round),
    [2, 4, 6, 8, 10, 12],
    'evaluated every second round',
  );
  const losses = evaluated.map(({ evaluation }) => evaluation!.adapFu.loss);
  t.ok(
    losses.every((loss, i) => i === 0 || loss < losses[i - 1]!),
    'each time better than before',
  );

  const down = sealRound(layouts, initialLora(), { job: 'quadratic', round: 1, attempt: 1 }).bytes.byteLength;
  const up = seal(layouts.adapter, initialLora().adapter).bytes.byteLength;
  t.strictSame(reports[0]?.bytes, { down: 3 * down, up: 3 * up }, 'bytes are those of the packages that travelled');
  t.equal(events.filter((event) => event.event === 'step' && event.phase === 'local').length, 12 * 3 * 5);
  t.equal(events.filter((event) => event.event === 'step' && event.phase === 'align').length, 6 + 12 * 3);
});

t.test('the last round is evaluated even if it is not due', async (t) => {
  const { reports } = await run(t.testdir(), settings({ rounds: 3 }));
  t.strictSame(
    reports.map(({ evaluation }) => evaluation !== undefined),
    [false, true, true],
  );
});

t.test('losses of a round are those of its clients, weighted by samples', async (t) => {
  const { events, reports } = await run(t.testdir(), settings({ rounds: 1, clients: 2 }), { workers: 2 });
  const lossesOf = (client: number) =>
    events.flatMap((event) =>
      event.event === 'step' && event.phase === 'local' && event.client === client ? [event.loss] : [],
    );
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [n0, n1] = [samplesOf(0), samplesOf(1)];
  const expected = (n0 * mean(lossesOf(0)) + n1 * mean(lossesOf(1))) / (n0 + n1);
  t.ok(Math.abs(reports[0]!.localLoss - expected) < 1e-12);
  const alignment = events.flatMap((event) => (event.event === 'step' && event.phase === 'align' ? [event.loss] : []));
  t.ok(Math.abs(reports[0]!.alignmentLoss! - mean(alignment)) < 1e-12);
});

t.test('the number of workers changes only the time', async (t) => {
  const root = t.testdir();
  const job = settings({ rounds: 4, clients: 6, clientsPerRound: 5, dropoutRate: 0.3 });
  const one = await run(root, job);
  const three = await run(root, job, { workers: 3 });
  t.equal(digest(one), digest(three));
  t.strictSame(
    one.reports.map(({ clients }) => clients),
    three.reports.map(({ clients }) => clients),
  );

  const other = await run(root, { ...job, seed: SEED + 1 });
  t.not(digest(one), digest(other), 'another seed draws others');
});

t.test('the mean is taken in client order, whichever client reports first', async (t) => {
  // In double precision 1e30 + 1 - 1e30 is 0, and 1e30 - 1e30 + 1 is 1.
  const values = [1e30, -1e30, 1];
  const averageOf = async (order: readonly number[]) => {
    const reported = order.map(() => Promise.withResolvers<void>());
    const trainer: LocalTrainer = {
      train: async ({ round, client, lora, onStep }) => {
        await reported[order.indexOf(client) - 1]?.promise;
        onStep({ phase: 'local', round, client, step: 0, loss: 1, tokens: 1, ms: 0 });
        return {
          adapter: lora.adapter.map(() => values[client]!),
          samples: 1,
          losses: [1],
          tokens: 1,
          use: { cpuSeconds: 0, gpuSeconds: 0, peakMemoryBytes: 0 },
        };
      },
    };
    const arrived: number[] = [];
    const { lora } = await run(t.testdir(), settings({ rounds: 1, clients: 3, local: { steps: 1 } }), {
      trainers: [trainer, trainer, trainer],
      onEvent: (event) => {
        if (event.event !== 'client' || event.outcome === 'refused') return;
        arrived.push(event.client);
        reported[order.indexOf(event.client)]?.resolve();
      },
    });
    t.strictSame(arrived, order);
    return lora.adapter[0];
  };
  t.equal(await averageOf([0, 1, 2]), Math.fround(1 / 3));
  t.equal(await averageOf([2, 0, 1]), Math.fround(1 / 3));
  t.equal(await averageOf([0, 2, 1]), Math.fround(1 / 3));
});

t.test('a client that dropped out never trains', async (t) => {
  const trained: string[] = [];
  const trainer = localTrainer({ steps: 2 });
  const job = settings({ rounds: 6, clients: 5, dropoutRate: 0.4, local: { steps: 2 } });
  const { reports, events } = await run(t.testdir(), job, {
    trainers: [{ train: (input) => (trained.push(`${input.round}/${input.client}`), trainer.train(input)) }],
  });
  const dropped = reports.flatMap(({ round, clients }) => clients.dropped.map((client) => `${round}/${client}`));
  const reported = reports.flatMap(({ round, clients }) => clients.reported.map((client) => `${round}/${client}`));
  t.ok(dropped.length > 0);
  t.strictSame(trained.sort(), reported.sort());
  for (const { round, clients } of reports) {
    t.strictSame(drawClients(SEED, { round, attempt: 1 }, job.federation), {
      selected: clients.selected,
      dropped: clients.dropped,
    });
  }
  const told = events.flatMap((event) =>
    event.event === 'client' && event.reason === 'simulated' ? [`${event.round}/${event.client}`] : [],
  );
  t.strictSame(told.sort(), dropped.sort());
});

t.test('a long alignment is cut into slices with a checkpoint each, with the same result', async (t) => {
  const root = t.testdir();
  let seconds = 0;
  const clock: Clock = { ...manualClock(), now: () => (seconds += 15) };
  const aligner = quadraticAligner({ initialSteps: 6, stepsPerRound: 3 });
  const begun: (number | undefined)[] = [];
  const sliced = await run(root, settings({ rounds: 2 }), {
    clock,
    aligner: { ...aligner, align: (input) => (begun.push(input.from?.step), aligner.align(input)) },
  });
  t.strictSame(begun, [undefined, 4, 8, undefined]);
  const steps = sliced.events.flatMap((event) =>
    event.event === 'step' && event.phase === 'align' ? [event.step] : [],
  );
  t.strictSame(steps, [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2]);
  t.equal(
    sliced.events.filter((event) => event.event === 'phase' && event.phase === 'align').length,
    2,
    'one phase a round',
  );
  t.equal(digest(sliced), digest(await run(root, settings({ rounds: 2 }))));
});
