// The cost that a round reports, measured with meters whose values the test sets.
import { join } from 'node:path';
import t from 'tap';
import type { RoundCost } from '../../crds/facts/cost.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { Aligner, Evaluator, LocalTrainer, Meter } from '../../worker/federation/contracts.ts';
import { localTrainer, quadraticAligner, quadraticEvaluator, settings } from '../support/quadratic-federation.ts';
import { inRunDirectory, overMemory, runQuadratic } from '../support/quadratic-run.ts';
import type { RunOptions } from '../support/quadratic-run.ts';

/** A machine on which each alignment step takes 10 s of CPU time, an evaluation 1000 s, and a client's training 1 s. */
function machine(onTrain: (client: number) => void = () => {}) {
  let cpuSeconds = 5;
  let peakMemoryBytes = 100;
  const meter: Meter = { gpus: 2, read: async () => ({ cpuSeconds, peakMemoryBytes }) };
  const { steps, align } = quadraticAligner({ initialSteps: 6, stepsPerRound: 3 });
  const aligner: Aligner = {
    steps,
    align: (input) =>
      align({
        ...input,
        onStep: (step) => {
          cpuSeconds += 10;
          input.onStep(step);
        },
      }),
  };
  const scores = quadraticEvaluator(4);
  const evaluator: Evaluator = {
    evaluate: (input) => {
      cpuSeconds += 1000;
      peakMemoryBytes = 200;
      return scores.evaluate(input);
    },
  };
  const inner = localTrainer({ steps: 5 });
  const trainer: LocalTrainer = {
    train: async (input) => {
      onTrain(input.client);
      const update = await inner.train(input);
      cpuSeconds += 1;
      return update;
    },
  };
  return { meter, aligner, evaluator, trainers: [trainer] };
}

/** The cost of every round. Of the measured GPU time, only whether it is positive. */
const costs = (events: readonly RunEvent[]) =>
  events.flatMap((event) => (event.event === 'round' ? [withoutClock(event.cost!)] : []));
const withoutClock = ({ server: { gpuSeconds, ...server }, clients }: RoundCost) => ({
  server: { ...server, onGpus: gpuSeconds > 0 },
  clients,
});

const CLIENTS = { cpuSeconds: 20, gpuSeconds: 0, tokens: 160, peakMemoryBytes: 1003 };
const job = settings({ rounds: 2, clients: 4 });

t.test('in one process, resources used while clients train are counted for the clients', async (t) => {
  const events: RunEvent[] = [];
  await runQuadratic(join(t.testdir(), 'run'), job, { ...machine(), onEvent: (event) => events.push(event) });
  t.same(costs(events), [
    { server: { cpuSeconds: 90, tokens: 72, peakMemoryBytes: 100, onGpus: true }, clients: CLIENTS },
    // An evaluation is due in this round.
    { server: { cpuSeconds: 1030, tokens: 24, peakMemoryBytes: 200, onGpus: true }, clients: CLIENTS },
  ]);
});

t.test('in separate processes, the server measures its wait as well', async (t) => {
  const events: RunEvent[] = [];
  const options: RunOptions = { ...machine(), onEvent: (event) => events.push(event) };
  await inRunDirectory(join(t.testdir(), 'run'), job, options, (parts) =>
    overMemory(parts, { sharesProcesses: false }),
  );
  t.same(
    costs(events).map(({ server }) => server.cpuSeconds),
    [94, 1034],
    'four clients trained on the server’s processors',
  );
});

t.test('interrupted with two results received: what they cost is in the round', async (t) => {
  const root = join(t.testdir(), 'run');
  const stop = new AbortController();
  const events: RunEvent[] = [];
  const onEvent = (event: RunEvent) => {
    events.push(event);
    if (event.event === 'client' && event.client === 1) stop.abort();
  };
  t.equal((await runQuadratic(root, job, { ...machine(), signal: stop.signal, onEvent })).outcome, 'interrupted');
  t.equal(costs(events).length, 0);
  const trained: number[] = [];
  await runQuadratic(root, job, { ...machine((client) => trained.push(client)), onEvent });
  t.same(trained.slice(0, 2), [2, 3], 'the others are not trained again');
  t.same(costs(events)[0], {
    server: { cpuSeconds: 90, tokens: 72, peakMemoryBytes: 100, onGpus: true },
    clients: CLIENTS,
  });
});

t.test('an attempt that missed its quorum counts, and a refused result does not', async (t) => {
  const events: RunEvent[] = [];
  const {
    trainers: [trainer],
    ...parts
  } = machine();
  let tasks = 0;
  // The third result claims more samples than there are.
  const lying: LocalTrainer = {
    train: async (input) => ({ ...(await trainer!.train(input)), ...(++tasks === 3 && { samples: 1e6 }) }),
  };
  const strict = settings({ rounds: 1, clients: 4, quorum: 4 });
  await runQuadratic(join(t.testdir(), 'run'), strict, {
    ...parts,
    trainers: [lying],
    onEvent: (event) => events.push(event),
  });
  const accepted = events.filter((event) => event.event === 'client' && event.outcome === 'reported').length;
  t.ok(accepted >= 6 && accepted < tasks, `${accepted} results of ${tasks} were accepted`);
  t.match(costs(events)[0]?.clients, { cpuSeconds: 5 * accepted, tokens: 40 * accepted });
});
