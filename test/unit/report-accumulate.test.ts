import t from 'tap';
import type { RunEvent } from '../../crds/facts/events.ts';
import { accumulate, emptyHistory, reportOf } from '../../worker/report/accumulate.ts';
import { runCost } from '../../worker/cost/run-cost.ts';
import { checkReport, checkStep } from '../../worker/report/report-schema.ts';
import { evaluationAt, roundAt, sampleEvents, sampleFacts, samplePlan, stepAt } from '../support/sample-run.ts';

const reportFrom = (events: readonly RunEvent[]) => reportOf(events.reduce(accumulate, emptyHistory), sampleFacts);

t.test('a report contains the events of its rounds', async (t) => {
  const report = reportFrom(sampleEvents(5));
  t.same(report, {
    job: 'sample',
    method: 'FedBiOT',
    seed: 7,
    rounds: [1, 2, 3, 4, 5].map(roundAt),
    final: evaluationAt(4),
    cost: runCost([1, 2, 3, 4, 5].map(roundAt), { clients: 2, plan: samplePlan }),
    adapterSha256: sampleFacts.adapterSha256,
    partition: sampleFacts.partition,
    plan: samplePlan,
  });
  t.equal('event' in report.rounds[0]!, false, 'no event tag in report.json');
});

t.test('an interrupted and resumed run has the same report', async (t) => {
  const all = sampleEvents(4);
  const cut = all.findIndex((event) => event.event === 'round' && event.round === 2);
  const start = all.findIndex((event) => event.event === 'phase' && event.round === 2);
  t.same(reportFrom([...all.slice(0, cut + 1), ...all.slice(0, 1), ...all.slice(start)]), reportFrom(all));
});

t.test('a run without evaluation has no final scores', async (t) => {
  t.equal(reportFrom(sampleEvents(1)).final, null);
});

t.test('a report needs a run', async (t) => {
  t.throws(() => reportFrom([]), /needs the run event/);
});

t.test('a written report can be read back, and damage is reported', async (t) => {
  const report = reportFrom(sampleEvents(3));
  t.same(checkReport(JSON.parse(JSON.stringify(report))), report);
  t.match(checkReport({ ...report, rounds: [{ ...roundAt(1), localLoss: null }] }), {
    problem: /\/rounds\/0\/localLoss/,
  });
  t.match(checkReport(null), { problem: /object/ });
  const step = stepAt('local', 2, 1, 0, 0.5);
  t.same(checkStep(step), step);
  t.match(checkStep({ ...step, phase: 'evaluate' }), { problem: /phase/ });
});
