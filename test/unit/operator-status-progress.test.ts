// The part of the status that comes from the server pod's progress.
import t from 'tap';
import Value from 'typebox/value';
import { JobProgress } from '../../crds/facts/progress.ts';
import { jobObject, NOTHING } from '../support/planned-job.ts';
import { initialProgress, reportedProgress as foldedProgress } from '../../worker/report/fold-progress.ts';
import { sampleProgress } from '../support/sample-progress.ts';
import type { RunProgress } from '../../worker/report/fold-progress.ts';
import { RUNNING, iso, look, pod, world } from '../support/observed-job.ts';

t.test('progress is mirrored', async (t) => {
  const score = (accuracy: number | null) => ({ accuracy, loss: 1.23456 });
  const progress: JobProgress = {
    ...sampleProgress(4),
    at: iso(7),
    finishedRounds: 3,
    rounds: 50,
    clients: { selected: 8, reported: 7, dropped: 1, refused: 0 },
    refusals: { late: 2 },
    alignmentLoss: 0.123456789,
    publicAlignmentGap: 0.25,
    evaluation: { round: 3, base: score(null), adapEmu: score(0.25), adapFu: score(0.5) },
  };
  const status = look(jobObject(), world({ pods: [pod('server', RUNNING)] }), 8, progress);
  t.match(status, {
    activity: 'Training',
    round: 3,
    roundText: '3/50',
    clientsText: '7/8',
    refusals: { late: 2 },
    alignmentLoss: 0.123457,
    publicAlignmentGap: 0.25,
    evaluation: { round: 3, base: { headline: '1.2346' }, adapFu: { accuracy: 0.5, headline: '50.0 %' } },
  });
  const after = look(jobObject({}, { status: { phase: 'Succeeded', round: 3 } }), NOTHING, 9, {
    ...progress,
    finishedRounds: 50,
    adapterSha256: 'a'.repeat(64),
  });
  t.match(after, { phase: 'Succeeded', round: 50, adapterSha256: 'a'.repeat(64) }, 'what is told last still comes in');
});

t.test('progress of a pod that knew fewer figures is read', async (t) => {
  const { memory: _, ...earlier } = sampleProgress();
  t.ok(Value.Check(JobProgress, earlier));
  t.notHas(look(jobObject(), world({ pods: [pod('server', RUNNING)] }), 8, { ...earlier, at: iso(7) }), { memory: {} });
});

t.test('the cost of a job is mirrored, however much clients claim', async (t) => {
  const role = (tokens: number) => ({ cpuSeconds: 1.5, gpuSeconds: 0, tokens, peakMemoryBytes: 1e9 + 0.25 });
  const saving = { here: 1e21, fullModel: 4e21, saved: 3e21 };
  const run: RunProgress = {
    ...initialProgress({ rounds: 3, clientsPerRound: 4, localSteps: 1 }),
    cost: {
      server: role(5),
      clients: role(1e300),
      bytes: { bundle: 3, down: 2, up: 1 },
      savings: { bytes: { here: 9, fullModel: 8, saved: -1 }, flops: saving },
    },
  };
  const { cost } = look(jobObject(), world({ pods: [pod('server', RUNNING)] }), 8, {
    ...sampleProgress(),
    ...foldedProgress(run),
    at: iso(7),
  });
  t.strictSame(cost?.server, { cpuSeconds: 1.5, gpuSeconds: 0, tokens: 5, peakMemoryBytes: 1e9 });
  t.equal(cost?.clients?.tokens, Number.MAX_SAFE_INTEGER, 'what the API server can take');
  t.strictSame(cost?.bytes, { bundle: 3, down: 2, up: 1 });
  t.strictSame(cost?.savings, {
    bytes: { here: 9, fullModel: 8, saved: -1 },
    flops: { here: 1e21, fullModel: 4e21, saved: 3e21 },
  });
});
