import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { LossCurves } from '../../worker/report/loss-curves.ts';
import { readLossCurves } from '../../worker/report/report-files.ts';
import { stepAt } from '../support/sample-run.ts';

t.test('local steps are averaged over clients, rounds follow one another', async (t) => {
  const curves = new LossCurves();
  // Client by client, in the order of results; client 1 does not report in round 2.
  for (const [client, round, step, loss] of [
    [0, 1, 0, 4],
    [0, 1, 1, 2],
    [1, 1, 0, 2],
    [1, 1, 1, 1],
    [0, 2, 0, 1],
    [0, 2, 1, 0.5],
  ] as const) {
    curves.add(stepAt('local', round, client, step, loss));
  }
  t.same(curves.curve('local', 100), {
    points: [
      { x: 1, mean: 3, low: 2, high: 4 },
      { x: 2, mean: 1.5, low: 1, high: 2 },
      { x: 3, mean: 1, low: 1, high: 1 },
      { x: 4, mean: 0.5, low: 0.5, high: 0.5 },
    ],
    roundStarts: [3],
  });
  t.same(curves.curve('align', 100), { points: [], roundStarts: [] });
});

t.test('a long curve is binned, and keeps its mean', async (t) => {
  const curves = new LossCurves();
  for (let step = 0; step < 1001; step++) curves.add(stepAt('align', 1, null, step, step));
  const { points } = curves.curve('align', 100);
  t.equal(points.length, 91, 'bins of eleven');
  t.same(points[0], { x: 6, mean: 5, low: 5, high: 5 });
  t.equal(points.reduce((sum, { mean }) => sum + mean, 0) / points.length, 500);
});

t.test('a missing step keeps its place', async (t) => {
  const curves = new LossCurves();
  curves.add(stepAt('align', 1, null, 2, 7));
  t.same(curves.curve('align', 10).points, [{ x: 3, mean: 7, low: 7, high: 7 }]);
});

t.test('metrics.jsonl is read except for an incomplete last line', async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'metrics.jsonl');
  const line = (step: number) => `${JSON.stringify(stepAt('align', 1, null, step, step))}\n`;
  writeFileSync(path, `{"event":"warning","message":"{\\"event\\":\\"step\\""}\n${line(0)}${line(1)}`);
  appendFileSync(path, line(2).slice(0, 30));
  t.same(
    (await readLossCurves(folder)).curves.curve('align', 10).points.map(({ mean }) => mean),
    [0, 1],
  );

  appendFileSync(path, `\n${line(3)}`);
  const { curves, damaged } = await readLossCurves(folder);
  t.same(
    { count: curves.curve('align', 10).points.length, damaged },
    { count: 3, damaged: 1 },
    'a damaged line costs its own step',
  );
});

t.test('a folder without metrics is not a run', async (t) => {
  await t.rejects(readLossCurves(t.testdir()), { name: 'UserError', message: /cannot read .*metrics\.jsonl/ });
});
