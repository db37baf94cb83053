import fc from 'fast-check';
import t from 'tap';
import Value from 'typebox/value';
import { NO_COST } from '../../worker/cost/run-cost.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import type { Update } from '../../worker/federation/verify-result.ts';
import * as state from '../../worker/federation/state.ts';
import type { Collect, RoundState } from '../../worker/federation/state.ts';

const { accepted, aggregated, aligned, aligning, awaited, begin, collected, collecting, evaluated, forgotten, next } =
  state;
const { published, refused, retried, training, verdict } = state;

const score = { accuracy: 0.5, loss: 1 };
const evaluation = { base: score, adapEmu: score, adapFu: { accuracy: null, loss: 2 } };

function update(client: number, losses: readonly number[], samples = 10): Update {
  const steps = losses.map((loss) => ({ loss, tokens: 4, ms: 1 }));
  return {
    client,
    adapter: new Float32Array(),
    samples,
    tokens: 8,
    steps,
    cost: { cpuSeconds: 3, gpuSeconds: 2, tokens: 4 * steps.length, peakMemoryBytes: 100 + client },
    bytes: 100,
    submission: { header: '', payload: new Uint8Array(), sha256: '' },
  };
}

/** The cost of a piece of the server's work: four CPUs, and one token per second. */
function spent(seconds: number, peakMemoryBytes = 0) {
  return { seconds, cost: { cpuSeconds: 4 * seconds, gpuSeconds: seconds, tokens: seconds, peakMemoryBytes } };
}

/** Round 2 with clients 1, 3, 5, 7, of which 3 has dropped out. */
function collectingRound(): Collect {
  return published(aligned(begin(2), [3, 1], spent(5)), { selected: [1, 3, 5, 7], dropped: [3] }, 1000);
}

t.test('a round from beginning to end', async (t) => {
  const publish = aligned(aligning(begin(2), spent(4, 90)), [3, 1], spent(5, 80));
  t.strictSame(publish, {
    at: 'Publish',
    round: 2,
    attempt: 1,
    alignmentLoss: 2,
    publicAlignmentGap: 1,
    cost: {
      bytes: { down: 0, up: 0 },
      seconds: { align: 9, local: 0, aggregate: 0, evaluate: 0 },
      roles: { server: { cpuSeconds: 36, gpuSeconds: 9, tokens: 9, peakMemoryBytes: 90 }, clients: NO_COST },
    },
  });
  const collect = published(publish, { selected: [1, 3, 5, 7], dropped: [3] }, 1000);
  t.equal(collect.cost.bytes.down, 3000, 'who drops out downloads nothing');
  t.strictSame(training(collect), [1, 5, 7]);

  const two = accepted(accepted(collect, update(7, [4, 2], 30)), update(1, [1, 1], 10));
  t.strictSame(awaited(two), [5]);
  const aggregate = collected(collecting(two, spent(60, 50)));
  t.strictSame(aggregate.dropped, [3, 5], 'who has not reported has dropped out');
  const evaluate = aggregated(aggregate, spent(2));
  const checkpoint = evaluated(evaluate, evaluation, spent(8, 95));
  t.strictSame(checkpoint.report, {
    round: 2,
    clients: { selected: [1, 3, 5, 7], reported: [1, 7], dropped: [3, 5], refused: [] },
    alignmentLoss: 2,
    publicAlignmentGap: 1,
    localLoss: (30 * 3 + 10 * 1) / 40,
    bytes: { down: 3000, up: 200 },
    seconds: { align: 9, local: 60, aggregate: 2, evaluate: 8 },
    cost: {
      server: { cpuSeconds: 4 * 79, gpuSeconds: 79, tokens: 79, peakMemoryBytes: 95 },
      clients: { cpuSeconds: 6, gpuSeconds: 4, tokens: 16, peakMemoryBytes: 107 },
    },
    evaluation,
  });
  t.strictSame(next(checkpoint, 3), begin(3));
  t.strictSame(next(checkpoint, 2), { at: 'Finished', round: 2 });
  t.notOk('evaluation' in evaluated(evaluate, null, spent(0)).report);

  const all: RoundState[] = [begin(2), publish, collect, two, aggregate, evaluate, checkpoint, next(checkpoint, 2)];
  for (const each of all) {
    const copy: unknown = JSON.parse(JSON.stringify(each));
    t.ok(Value.Check(state.RoundState, copy), `${each.at} is what the schema says`);
    t.strictSame(copy, each, `${each.at} survives JSON`);
  }
});

t.test('the local loss does not depend on who was first', async (t) => {
  const updates = [update(1, [0.1], 3), update(5, [0.7], 7), update(7, [1 / 3], 11)];
  const lossOf = (order: readonly Update[]) =>
    aggregated(collected(order.reduce(accepted, collectingRound())), spent(0)).report.localLoss;
  t.equal(lossOf(updates.toReversed()), lossOf(updates));
});

t.test('a round without alignment has no alignment loss and no gap', async (t) => {
  t.match(aligned(begin(1), [], spent(0)), { alignmentLoss: null, publicAlignmentGap: null });
});

t.test('the gap on public data is the mean loss of the last tenth of an alignment, of one step at least', async (t) => {
  const gapOf = (losses: readonly number[]) => aligned(begin(1), losses, spent(0)).publicAlignmentGap;
  t.equal(gapOf([4, 3, 2]), 2);
  t.equal(gapOf([...Array.from({ length: 18 }, () => 9), 3, 1]), 2);
});

t.test('a state saved without the gap resumes without it', async (t) => {
  const { publicAlignmentGap: _, ...older } = collectingRound();
  t.ok(Value.Check(state.RoundState, older), 'it is read');
  const one = accepted(older, update(1, [1], 10));
  t.equal(aggregated(collected(one), spent(0)).report.publicAlignmentGap, null);
});

t.test('a round does not wait for a refused client, but still accepts a valid result', async (t) => {
  const state = refused(collectingRound(), 5);
  t.strictSame(awaited(state), [1, 7]);
  t.strictSame(refused(state, 5), state, 'refused is refused');
  t.strictSame(refused(state, 3), state, 'not a client with a task');
  t.strictSame(collected(state).dropped, [1, 3, 7]);
  const made = accepted(state, update(5, [1]));
  t.strictSame(made.refused, []);
  t.strictSame(refused(made, 5), made, 'who has reported is not refused after');
  t.strictSame(awaited(forgotten(made, 5)), [1, 5, 7]);
});

t.test('verdict', async (t) => {
  const seed = Date.now() % 2 ** 31;
  const clients = fc.record({ reported: fc.nat(4), refused: fc.nat(4), waiting: fc.nat(4) });
  fc.assert(
    fc.property(
      clients,
      fc.integer({ min: 1, max: 13 }),
      fc.boolean(),
      ({ reported, refused: bad, waiting }, quorum, late) => {
        const selected = Array.from({ length: reported + bad + waiting }, (_, client) => client);
        let state = published(aligned(begin(1), [], spent(0)), { selected, dropped: [] }, 1);
        for (const client of selected.slice(0, reported)) state = accepted(state, update(client, [1]));
        for (const client of selected.slice(reported, reported + bad)) state = refused(state, client);
        const expected =
          reported + waiting < quorum
            ? 'short'
            : waiting > 0 && !late
              ? 'open'
              : reported >= quorum
                ? 'enough'
                : 'short';
        return verdict(state, quorum, late) === expected && (expected !== 'enough' || reported >= quorum);
      },
    ),
    { seed, numRuns: 300 },
  );
  t.pass(`seed ${seed}`);
});

t.test('a round is retried maxRoundRetries times', async (t) => {
  const failed = accepted(collectingRound(), update(7, [1]));
  const again = retried(failed, 2, 1);
  t.strictSame([again.round, again.attempt, again.alignmentLoss], [2, 2, 2]);
  t.strictSame(again.cost.bytes, { down: 3000, up: 100 }, 'what it cost counts');
  t.equal(again.cost.roles?.clients.tokens, 4, 'and so does what was trained');
  const messageOf = (state: Collect, retries: number) => {
    try {
      return retried(state, 2, retries);
    } catch (error) {
      return error instanceof UserError ? error.message : error;
    }
  };
  t.equal(messageOf(failed, 0), 'round 2 failed: 1 of 4 selected clients reported, but the quorum is 2');
  const second = published(again, { selected: [0, 2], dropped: [0] }, 1);
  t.equal(
    messageOf(second, 1),
    'round 2 failed: 0 of 2 selected clients reported in the last of 2 attempts, but the quorum is 2',
  );
});

t.test('a round that was begun without measuring has no cost', async (t) => {
  const { bytes, seconds } = begin(1).cost;
  const collect = published(
    aligned({ at: 'Align', round: 1, cost: { bytes, seconds } }, [], spent(1)),
    { selected: [0], dropped: [] },
    10,
  );
  const { report } = evaluated(
    aggregated(collected(collecting(accepted(collect, update(0, [1])), spent(2))), spent(3)),
    null,
    spent(4),
  );
  t.notOk('cost' in report, 'half of it would mislead');
  t.strictSame(report.seconds, { align: 1, local: 2, aggregate: 3, evaluate: 4 });
});
