// Coverage by folder compared with the floors: what makes `npm run coverage` fail.
import t from 'tap';
import { compareWithFloors, coverageProblem, coverageTable, hasCode } from '../support/coverage-floors.ts';

const files = new Map([
  ['worker/data/batch.ts', { total: 100, covered: 100 }],
  ['worker/data/source.ts', { total: 300, covered: 259 }],
  ['worker/data/deep/part.ts', { total: 10, covered: 1 }],
  ['worker/random.ts', { total: 40, covered: 40 }],
]);
const floors = { worker: 99, 'worker/data': 89, 'worker/data/deep': 10 };

const problems = (changed: Readonly<Record<string, number>>) =>
  compareWithFloors(files, changed)
    .map(coverageProblem)
    .filter((problem) => problem !== null);

t.test('a folder is the sum of the lines of its own files', async (t) => {
  t.strictSame(compareWithFloors(files, floors), [
    { folder: 'worker', percent: 100, floor: 99 },
    { folder: 'worker/data', percent: 89.75, floor: 89 },
    { folder: 'worker/data/deep', percent: 10, floor: 10 },
  ]);
});

t.test('what fails', async (t) => {
  t.strictSame(problems(floors), []);
  t.strictSame(problems({ ...floors, 'worker/data': 89.75 }), [], 'a floor is reached when it is equalled');
  t.strictSame(problems({ worker: 100, 'worker/data': 90, 'worker/data/deep': 11 }), [
    'worker/data is below its floor: 89.7 % of its lines ran, not 90 %',
    'worker/data/deep is below its floor: 10.0 % of its lines ran, not 11 %',
  ]);
  t.strictSame(problems({ worker: 99 }), [
    'worker/data has no floor: set one, such as 88',
    'worker/data/deep has no floor: set one, such as 9',
  ]);
  t.strictSame(problems({ ...floors, 'worker/data/deep': 0 }), [
    'worker/data/deep has a floor of 0, which never fails: set one above 0',
  ]);
  t.strictSame(problems({ ...floors, 'worker/gone': 50 }), ['worker/gone has a floor and no code: remove its floor']);
});

t.test('the table', async (t) => {
  t.equal(
    coverageTable(compareWithFloors(files, { worker: 99, 'worker/data': 89, gone: 7 })),
    [
      'folder            lines %  floor',
      'gone                    -      7',
      'worker              100.0     99',
      'worker/data          89.7     89',
      'worker/data/deep     10.0      -',
    ].join('\n'),
  );
});

t.test('a file of types has no code', async (t) => {
  t.notOk(
    hasCode("import type { A } from './a.ts';\n/** B. */\nexport interface B extends A {}\nexport type C = B;\n"),
  );
  t.ok(hasCode('export interface A {}\nexport const a = 1;\n'));
  t.ok(hasCode("import './effects.ts';\n"));
});
