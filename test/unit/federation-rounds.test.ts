import { join } from 'node:path';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { RoundReport } from '../../crds/facts/round.ts';
import type { Clock } from '../../worker/federation/clock.ts';
import type { LocalTrainer } from '../../worker/federation/contracts.ts';
import { sealRound } from '../../worker/federation/lora-package.ts';
import { drawClients } from '../../worker/federation/sampling.ts';
import { seal } from '../../worker/transport/package.ts';
import * as quadratic from '../support/quadratic-federation.ts';
import { digest, runQuadratic } from '../support/quadratic-run.ts';
import type { RunOptions } from '../support/quadratic-run.ts';

const { halfSquaredDistance, initialLora, layouts, localTrainer, SEED, settings } = quadratic;

let runs = 0;

async function run(root: string, job = settings(), options: RunOptions = {}) {
  const events: RunEvent[] = [];
  const onEvent = (event: RunEvent) => {
    events.push(event);
    options.onEvent?.(event);
  };
  const outcome = await runQuadratic(join(root, `run-${runs++}`), job, { ...options, onEvent });
  const reports: RoundReport[] = events.filter((event) => event.event === 'round');
  return { ...outcome, events, reports };
}

/** Trains like `trainer`, except for some clients in some rounds, which never answer. */
function stalling(
  stalls: (round: number, client: number) => boolean,
  trainer = localTrainer({ steps: 5 }),
): LocalTrainer {
  return {
    train: (input) => {
      if (!stalls(input.round, input.client)) return trainer.train(input);
      return new Promise((_, reject) => {
        const { signal } = input;
        if (signal.aborted) reject(signal.reason);
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    },
  };
}

/** Two workers, so that one goes on while the other stalls. */
const two = (trainer: LocalTrainer) => [trainer, trainer];

/** A clock whose deadlines pass when the test says so. */
function manualClock(): Clock & { readonly pass: () => void; readonly asked: readonly number[] } {
  let current = new AbortController();
  const asked: number[] = [];
  const deadline = (seconds: number) => {
    asked.push(seconds);
    current = new AbortController();
    return { signal: current.signal, cancel: () => {} };
  };
  return { asked, now: () => 0, deadline, pass: () => current.abort() };
}

/** Lets the deadline pass once `count` clients have reported in an attempt at a round, from a round on. */
function passAfter(count: number, clock: ReturnType<typeof manualClock>, fromRound = 1): (event: RunEvent) => void {
  let reported = 0;
  return (event) => {
    if (event.event === 'phase' && event.phase === 'local') reported = 0;
    if (event.event !== 'client' || event.outcome !== 'reported') return;
    if (++reported === count && event.round >= fromRound) clock.pass();
  };
}

t.test('all clients in every round: FedAvg converges to the sample-weighted optimum', async (t) => {
  const { outcome, lora, round, reports, events } = await run(t.testdir(), settings({ rounds: 12, clients: 3 }));
  t.equal(outcome, 'succeeded');
  t.equal(round, 12);
  const best = quadratic.federatedOptimum(3);
  t.ok(halfSquaredDistance(initialLora().adapter, best) > 1, 'it begins far away');
  t.ok(halfSquaredDistance(lora.adapter, best) < 1e-9, 'the optimum is reached');
  t.ok(
    halfSquaredDistance(lora.emulator, quadratic.emulatorGoal(lora.adapter)) < 1e-3,
    'the emulator follows the adapter',
  );

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
  const [n0, n1] = [quadratic.samplesOf(0), quadratic.samplesOf(1)];
  const expected = (n0 * mean(lossesOf(0)) + n1 * mean(lossesOf(1))) / (n0 + n1);
  t.ok(Math.abs(reports[0]!.localLoss - expected) < 1e-12);
  const alignment = events.flatMap((event) => (event.event === 'step' && event.phase === 'align' ? [event.loss] : []));
  t.ok(Math.abs(reports[0]!.alignmentLoss! - mean(alignment)) < 1e-12);
});

t.test('the number of workers changes nothing but the time', async (t) => {
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

t.test('whoever reports first, the mean is taken in client order', async (t) => {
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

t.test('the deadline passes with a quorum: the round goes on with whoever has reported', async (t) => {
  const clock = manualClock();
  const job = settings({ rounds: 2, clients: 4, quorum: 3, roundDeadlineSeconds: 90 });
  const { reports, events } = await run(t.testdir(), job, {
    clock,
    trainers: [stalling((round, client) => round === 1 && client === 3)],
    onEvent: passAfter(3, clock),
  });
  t.strictSame(clock.asked, [90, 90]);
  t.strictSame(reports[0]?.clients, { selected: [0, 1, 2, 3], reported: [0, 1, 2], dropped: [3], refused: [] });
  t.strictSame(reports[1]?.clients.reported, [0, 1, 2, 3], 'the one worker was freed of the straggler');
  const late = events.flatMap((event) =>
    event.event === 'client' && event.reason === 'deadline' ? [event.client] : [],
  );
  t.strictSame(late, [3]);
});

t.test('the deadline passes without a quorum: the round is tried again with a fresh sample', async (t) => {
  const clock = manualClock();
  const job = settings({ rounds: 2, clients: 8, clientsPerRound: 3, quorum: 3, roundDeadlineSeconds: 90 });
  const first = drawClients(SEED, { round: 2, attempt: 1 }, job.federation).selected;
  const second = drawClients(SEED, { round: 2, attempt: 2 }, job.federation).selected;
  t.not(String(first), String(second));
  const straggler = first.find((client) => !second.includes(client));
  const { reports, events, lora } = await run(t.testdir(), job, {
    clock,
    trainers: two(stalling((round, client) => round === 2 && client === straggler)),
    onEvent: passAfter(2, clock, 2),
  });
  t.strictSame(reports[1]?.clients, { selected: second, reported: second, dropped: [], refused: [] });
  t.strictSame(
    events.flatMap((event) => (event.event === 'warning' ? [event.message] : [])),
    ['round 2: 2 of 3 selected clients reported, the quorum is 3; trying again with other clients (attempt 2 of 4)'],
  );
  t.equal(reports[1]!.bytes.down, 2 * reports[0]!.bytes.down, 'what the first attempt moved counts too');
  t.ok(lora.adapter.every(Number.isFinite));
});

t.test('a quorum that is never reached ends the run, after maxRoundRetries', async (t) => {
  const job = settings({ rounds: 2, clients: 4, quorum: 3, dropoutRate: 0.9, maxRoundRetries: 2 });
  const warnings: string[] = [];
  const failed = run(t.testdir(), job, {
    onEvent: (event) => event.event === 'warning' && warnings.push(event.message),
  });
  const error = await failed.then(
    () => null,
    (error: unknown) => error,
  );
  t.ok(error instanceof UserError);
  t.match(error, {
    message: /^round 1 failed: \d of 4 selected clients reported in the last of 3 attempts, but the quorum is 3$/,
    hint: /quorum/,
  });
  t.equal(warnings.length, 2);
});

t.test('a client whose loss is not finite ends the run, and what was reached is kept', async (t) => {
  const root = join(t.testdir(), 'run');
  const job = settings({ rounds: 3, clients: 3 });
  const trainer = localTrainer({ steps: 5 });
  const broken: LocalTrainer = {
    train: async (input) => {
      if (input.round < 2 || input.client !== 1) return trainer.train(input);
      return trainer.train({ ...input, lora: { ...input.lora, adapter: input.lora.adapter.map(() => NaN) } });
    },
  };
  const error = await runQuadratic(root, job, { trainers: [broken] }).then(
    () => null,
    (error: unknown) => error,
  );
  t.ok(error instanceof UserError);
  t.match(error, { message: 'round 2, client 1: the loss of step 0 is not finite', hint: 'Lower the learning rate.' });

  const trained: string[] = [];
  const resumed = await runQuadratic(root, job, {
    trainers: [{ train: (input) => (trained.push(`${input.round}/${input.client}`), trainer.train(input)) }],
  });
  t.strictSame(trained, ['2/1', '2/2', '3/0', '3/1', '3/2'], 'only what had not been reported is trained');
  t.equal(digest(resumed), digest(await run(t.testdirName, job)));
});

t.test('weights that the very last step made infinite are told, not sent', async (t) => {
  const root = t.testdir();
  const trainer = localTrainer({ steps: 5 });
  const overflowing: LocalTrainer = {
    train: async (input) => ({ ...(await trainer.train(input)), adapter: input.lora.adapter.with(25, -Infinity) }),
  };
  await t.rejects(run(root, settings(), { trainers: [overflowing] }), {
    name: 'Diverged',
    message: 'round 1, client 0: the local training has diverged: layers.0.q_proj.lora_B holds -Infinity at element 1',
  });
  const aligner = quadratic.quadraticAligner({ initialSteps: 1, stepsPerRound: 1 });
  const align: typeof aligner.align = async (input) => {
    const outcome = await aligner.align(input);
    return outcome.done ? { ...outcome, emulator: outcome.emulator.map(() => NaN) } : outcome;
  };
  await t.rejects(run(root, settings(), { aligner: { ...aligner, align } }), {
    name: 'Diverged',
    message: 'the alignment before round 1 has diverged: layers.0.v_proj.lora_A holds NaN at element 0',
  });
});

t.test('a trainer that fails for a reason of its own is not taken for a user’s mistake', async (t) => {
  const trainers: LocalTrainer[] = [{ train: () => Promise.reject(new TypeError('a bug')) }];
  const error = await run(t.testdir(), settings(), { trainers }).then(
    () => null,
    (error: unknown) => error,
  );
  t.ok(error instanceof Error && !(error instanceof UserError));
  t.match(error, { message: /^round 1, client 0: TypeError: a bug\n +at / });
});

t.test('a long alignment is cut into slices with a checkpoint each, and comes to the same', async (t) => {
  const root = t.testdir();
  let seconds = 0;
  const clock: Clock = { ...manualClock(), now: () => (seconds += 15) };
  const aligner = quadratic.quadraticAligner({ initialSteps: 6, stepsPerRound: 3 });
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

t.test('an evaluation that is not finite ends the run, which can be gone on with', async (t) => {
  const root = join(t.testdir(), 'run');
  const job = settings({ rounds: 2, clients: 2 });
  const score = (loss: number) => ({ accuracy: null, loss });
  const evaluator = { evaluate: async () => ({ base: score(1), adapEmu: score(1), adapFu: score(NaN) }) };
  await t.rejects(runQuadratic(root, job, { evaluator }), {
    name: 'Diverged',
    message: /after round 2 has diverged: the loss of adapFu is NaN/,
    hint: /learning rate/,
  });
  t.equal((await runQuadratic(root, job)).outcome, 'succeeded', 'what was reached is there, and can be read');
});
