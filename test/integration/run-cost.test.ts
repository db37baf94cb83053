// The cost that `fedbiot run` reports: compared with the run's events, with the same job on the full model, and after
// an interruption.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { StepEvent } from '../../crds/facts/events.ts';
import type { RunReport } from '../../crds/facts/report.ts';
import type { LiveEvent } from '../../worker/report/display-state.ts';
import { readReportJson } from '../../worker/report/report-files.ts';
import { readEvents } from '../../worker/run/recorder.ts';
import { runTinyJob, writeTinyJob } from '../support/tiny-job.ts';

async function reportOf(job: string, out: string, options: { resume?: boolean } = {}): Promise<RunReport> {
  const result = await runTinyJob(job, out, options);
  if (result.outcome !== 'succeeded') throw new Error('interrupted');
  return result.report;
}

const sum = <T>(items: readonly T[], of: (item: T) => number) => items.reduce((total, item) => total + of(item), 0);

t.test('a run reports its cost', { timeout: 120_000 }, async (t) => {
  const out = join(t.testdir({}), 'run');
  const began = performance.now();
  const { cost, rounds, plan } = await reportOf(writeTinyJob(t.testdirName), out);
  const seconds = (performance.now() - began) / 1000;
  if (cost === null) return t.fail('no cost');
  const steps = readEvents(join(out, 'metrics.jsonl')).filter((event): event is StepEvent => event.event === 'step');
  for (const [role, phase] of [
    ['server', 'align'],
    ['clients', 'local'],
  ] as const) {
    t.equal(
      cost[role].tokens,
      sum(
        steps.filter((step) => step.phase === phase),
        ({ tokens }) => tokens,
      ),
      `${role}: the tokens of its steps`,
    );
    t.ok(
      cost[role].cpuSeconds > 0.01 && cost[role].cpuSeconds < 2 * seconds,
      `${role}: ${cost[role].cpuSeconds} s of processors in ${seconds} s`,
    );
    t.ok(cost[role].cpuSeconds === sum(rounds, (round) => round.cost![role].cpuSeconds), `${role}: as its rounds say`);
    t.ok(
      cost[role].peakMemoryBytes > 50e6 && cost[role].peakMemoryBytes < 4e9,
      `${role}: ${cost[role].peakMemoryBytes} bytes at the peak`,
    );
    t.equal(cost[role].gpuSeconds, 0);
  }
  t.same(cost.bytes, {
    bundle: 2 * plan.bytes.emulatorBundle,
    down: sum(rounds, ({ bytes }) => bytes.down),
    up: sum(rounds, ({ bytes }) => bytes.up),
  });
  t.equal(cost.savings.bytes.here, cost.bytes.bundle + cost.bytes.down + cost.bytes.up);
  t.ok(cost.savings.bytes.saved > 0, `${cost.savings.bytes.saved} bytes saved`);
  t.equal(
    cost.savings.flops.here,
    cost.clients.tokens * plan.flops.clientToken + cost.server.tokens * plan.flops.alignmentToken,
  );
  t.match(readFileSync(join(out, 'report.html'), 'utf8'), /<h2>Compared with the full model<\/h2>/);

  const whole = await reportOf(writeTinyJob(t.testdirName, { method: 'FullModel' }), join(t.testdirName, 'whole'));
  t.match(whole.cost?.savings, { bytes: { saved: 0 }, flops: { saved: 0 } }, 'the full model saves nothing');
  t.equal(
    cost.savings.flops.fullModel,
    whole.cost?.savings.flops.here,
    'the estimate for the full model is what the full model takes',
  );
  const difference = cost.savings.bytes.fullModel - whole.cost!.savings.bytes.here;
  // The packages' headers do not grow by the same factor as their tensors.
  t.ok(Math.abs(difference) < 0.02 * whole.cost!.savings.bytes.here, `${difference} bytes apart`);
});

t.test('an interrupted and resumed run reports the same cost', { timeout: 120_000 }, async (t) => {
  const root = t.testdir({});
  const job = writeTinyJob(root);
  const expected = (await reportOf(job, join(root, 'whole'))).cost;
  const out = join(root, 'stopped');
  const stop = new AbortController();
  const onEvent = (event: LiveEvent) => {
    if (event.event === 'client' && event.round === 2) stop.abort();
  };
  t.equal((await runTinyJob(job, out, { signal: stop.signal, onEvent })).outcome, 'interrupted');
  const before = await readReportJson(out);
  const { cost, rounds } = await reportOf(job, out, { resume: true });
  t.same(rounds[0], before.rounds[0], 'the first round’s figures are kept');
  t.same(
    [cost?.server.tokens, cost?.clients.tokens, cost?.bytes, cost?.savings],
    [expected?.server.tokens, expected?.clients.tokens, expected?.bytes, expected?.savings],
  );
  t.ok(rounds[1]!.cost!.clients.cpuSeconds > 0 && rounds[1]!.cost!.server.cpuSeconds > 0);
});

t.test('a run whose first rounds have no cost resumes, and reports none', { timeout: 120_000 }, async (t) => {
  const root = t.testdir({});
  const job = writeTinyJob(root);
  const out = join(root, 'run');
  const whole = await reportOf(job, out);
  // As written by an earlier version.
  const {
    cost: _,
    plan: { flops: __, ...plan },
    ...report
  } = whole;
  const rounds = report.rounds.map(({ cost: _, ...round }) => round);
  writeFileSync(join(out, 'report.json'), JSON.stringify({ ...report, plan, rounds }));
  const metrics = join(out, 'metrics.jsonl');
  const text = readFileSync(metrics, 'utf8');
  // Spaces preserve the length that the checkpoint stores.
  const unmeasured = text
    .replace(/,"cost":\{[^}]*\}[^}]*\}\}/g, (cost) => ' '.repeat(cost.length))
    .replace(/"flops":\{[^}]*\},/g, (flops) => ' '.repeat(flops.length));
  t.not(unmeasured, text);
  writeFileSync(metrics, unmeasured);
  await t.rejects(readReportJson(out), {
    name: 'UserError',
    message: /is not a run’s report: .*cost|flops/,
    hint: /--resume/,
  });
  const resumed = await reportOf(job, out, { resume: true });
  t.equal(resumed.cost, null);
  t.equal(resumed.adapterSha256, whole.adapterSha256);
  t.match(await readReportJson(out), { cost: null });
});
