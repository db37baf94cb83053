// Rounds that miss their deadline or quorum, and runs that fail.
import { join } from 'node:path';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import type { LocalTrainer } from '../../worker/federation/contracts.ts';
import { drawClients } from '../../worker/federation/sampling.ts';
import { localTrainer, quadraticAligner, SEED, settings } from '../support/quadratic-federation.ts';
import { digest, runQuadratic } from '../support/quadratic-run.ts';
import { run } from '../support/recorded-run.ts';
import { manualClock, passAfter } from '../support/deadline-clock.ts';

/** Trains like `trainer`, but never answers for some clients in some rounds. */
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

/** Two workers, so that one continues while the other stalls. */
const two = (trainer: LocalTrainer) => [trainer, trainer];

t.test('the deadline passes with a quorum: the round continues with the clients that have reported', async (t) => {
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

t.test('a client whose loss is not finite ends the run, and the results so far are kept', async (t) => {
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

t.test('weights that became infinite in the last step are reported, not sent', async (t) => {
  const root = t.testdir();
  const trainer = localTrainer({ steps: 5 });
  const overflowing: LocalTrainer = {
    train: async (input) => ({ ...(await trainer.train(input)), adapter: input.lora.adapter.with(25, -Infinity) }),
  };
  await t.rejects(run(root, settings(), { trainers: [overflowing] }), {
    name: 'Diverged',
    message: 'round 1, client 0: the local training has diverged: layers.0.q_proj.lora_B holds -Infinity at element 1',
  });
  const aligner = quadraticAligner({ initialSteps: 1, stepsPerRound: 1 });
  const align: typeof aligner.align = async (input) => {
    const outcome = await aligner.align(input);
    return outcome.done ? { ...outcome, emulator: outcome.emulator.map(() => NaN) } : outcome;
  };
  await t.rejects(run(root, settings(), { aligner: { ...aligner, align } }), {
    name: 'Diverged',
    message: 'the alignment before round 1 has diverged: layers.0.v_proj.lora_A holds NaN at element 0',
  });
});

t.test('a bug in a trainer is not reported as a user’s mistake', async (t) => {
  const trainers: LocalTrainer[] = [{ train: () => Promise.reject(new TypeError('a bug')) }];
  const error = await run(t.testdir(), settings(), { trainers }).then(
    () => null,
    (error: unknown) => error,
  );
  t.ok(error instanceof Error && !(error instanceof UserError));
  t.match(error, { message: /^round 1, client 0: TypeError: a bug\n +at / });
});

t.test('an evaluation that is not finite ends the run, which can be resumed', async (t) => {
  const root = join(t.testdir(), 'run');
  const job = settings({ rounds: 2, clients: 2 });
  const score = (loss: number) => ({ accuracy: null, loss });
  const evaluator = { evaluate: async () => ({ base: score(1), adapEmu: score(1), adapFu: score(NaN) }) };
  await t.rejects(runQuadratic(root, job, { evaluator }), {
    name: 'Diverged',
    message: /after round 2 has diverged: the loss of adapFu is NaN/,
    hint: /learning rate/,
  });
  const unusable = { evaluate: async () => ({ base: score(NaN), adapEmu: score(1), adapFu: score(1) }) };
  await t.rejects(runQuadratic(root, job, { evaluator: unusable }), {
    message: /the loss of base is NaN/,
    hint: /without any adapter: use another copy/,
  });
  t.equal((await runQuadratic(root, job)).outcome, 'succeeded', 'what was reached is there, and can be read');
});
