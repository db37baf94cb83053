import t from 'tap';
import Value from 'typebox/value';
import {
  finishedProgress,
  foldProgress,
  initialProgress,
  reportedProgress,
} from '../../worker/report/fold-progress.ts';
import { JobProgress } from '../../crds/facts/progress.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { RoundReport } from '../../crds/facts/round.ts';
import { accumulate, emptyHistory, reportOf } from '../../worker/report/accumulate.ts';
import { checkReport } from '../../worker/report/report-schema.ts';
import { runCost } from '../../worker/cost/run-cost.ts';
import { summaryText } from '../../worker/report/summary.ts';
import { roundAt, sampleEvents, sampleFacts, samplePlan } from '../support/sample-run.ts';

const facts = { clients: 2, plan: samplePlan };
const progressFacts = { rounds: 4, clientsPerRound: 2, localSteps: 2 };
const fold = (events: readonly RunEvent[]) =>
  events.reduce((progress, event) => foldProgress(progress, event, progressFacts), initialProgress(progressFacts));
const reportFrom = (events: readonly RunEvent[]) => reportOf(events.reduce(accumulate, emptyHistory), sampleFacts);

/** The events as emitted by a version that did not measure cost. */
const unmeasured = (events: readonly RunEvent[]): RunEvent[] =>
  events.map((event) => {
    if (event.event !== 'round') return event;
    const { cost: _, ...rest } = event;
    return rest;
  });

t.test('a run costs what its rounds do, and saves by as many bytes and tokens of another size', async (t) => {
  // Rounds 1 and 2: 300 tokens of alignment and 400 of clients each; 80,000 bytes down and 32,000 up each.
  t.same(runCost([roundAt(1), roundAt(2)], facts), {
    server: { cpuSeconds: 6, gpuSeconds: 0, tokens: 600, peakMemoryBytes: 2 ** 28 + 2 },
    clients: { cpuSeconds: 30, gpuSeconds: 0, tokens: 800, peakMemoryBytes: 2 ** 27 },
    bytes: { bundle: 4_800_000, down: 160_000, up: 64_000 },
    savings: {
      bytes: { here: 5_024_000, fullModel: 8_000_000 + 256_000 + 64_000, saved: 3_296_000 },
      flops: { here: 800 * 1_000 + 600 * 2_000, fullModel: 800 * 1_600, saved: -720_000 },
    },
  });
});

t.test('a run whose clients have the full model saves nothing', async (t) => {
  const { bytes } = samplePlan;
  const plan = {
    bytes: { ...bytes, emulatorBundle: bytes.fullModel, fullModelRoundDown: bytes.roundDown },
    flops: { clientToken: 1_600, fullModelToken: 1_600, alignmentToken: 2_000 },
  };
  const round = roundAt(1);
  const unaligned: RoundReport = { ...round, cost: { ...round.cost!, server: { ...round.cost!.server, tokens: 0 } } };
  const { savings } = runCost([unaligned], { clients: 2, plan })!;
  t.same([savings.bytes.saved, savings.flops.saved], [0, 0]);
});

t.test('the costs reported at the end of each round are those of the report', async (t) => {
  const events = sampleEvents(4);
  const report = reportFrom(events);
  t.same(fold(events).cost, report.cost);
  const resumed = events.findIndex((event) => event.event === 'phase' && event.round === 3);
  const again = [...events.slice(0, resumed), ...events.slice(0, 1), ...events.slice(resumed)];
  t.same(fold(again).cost, report.cost, 'whether or not it was resumed');
  t.equal(
    fold(
      events.slice(
        0,
        events.findIndex(({ event }) => event === 'round'),
      ),
    ).cost,
    null,
    'none before a round has ended',
  );
  const told = { at: '2026-01-01T00:00:00Z', ...reportedProgress(finishedProgress(fold(events), 'ab'.repeat(32))) };
  t.notOk('costFacts' in told);
  t.ok(Value.Check(JobProgress, JSON.parse(JSON.stringify(told))), 'as the schema wants it');
  t.notOk(
    Value.Check(JobProgress, { ...told, cost: { ...told.cost, server: { ...told.cost?.server, cpuSeconds: -1 } } }),
    'time does not run backwards',
  );
  t.notOk(Value.Check(JobProgress, { ...told, cost: { ...told.cost, savings: null } }));
});

t.test('half a run that was measured has no cost', async (t) => {
  const events = sampleEvents(4);
  const half = [...unmeasured(events.slice(0, 14)), ...events.slice(14)];
  t.ok(
    half.some((event) => event.event === 'round' && event.cost === undefined) &&
      half.some((event) => event.event === 'round' && event.cost !== undefined),
  );
  const report = reportFrom(half);
  t.equal(report.cost, null);
  t.equal(fold(half).cost, null);
  t.same(checkReport(JSON.parse(JSON.stringify(report))), report);
  t.notMatch(summaryText(report, 'out'), /CPU time/);
});

t.test('a report without the field cost is not a report', async (t) => {
  const { cost: _, ...old } = reportFrom(sampleEvents(2));
  t.match(checkReport(old), { problem: /cost/ });
});

t.test('the summary shows cost and savings', async (t) => {
  const text = summaryText(reportFrom(sampleEvents(2)), 'out');
  t.match(text, /^ +CPU time +GPU time +tokens +memory$/m);
  t.match(text, /^server +6\.00 s +– +600 +256 MiB$/m);
  t.match(text, /^bytes +4\.79 MiB +7\.93 MiB +3\.14 MiB +39\.6 %$/m);
  t.match(text, /^FLOPs +2\.00 MFLOP +1\.28 MFLOP +-720 kFLOP +-56\.3 %$/m);
});
