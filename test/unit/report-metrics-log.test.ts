import { appendFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { MetricsLog } from '../../worker/report/metrics-log.ts';
import { stepAt } from '../support/sample-run.ts';

const step = (n: number) => stepAt('align', 1, null, n, 0.5);
const warning = (message: string) => ({ event: 'warning', message }) as const;
const lines = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line): unknown => JSON.parse(line));

t.test('steps wait in the buffer until another event comes', async (t) => {
  const path = join(t.testdir(), 'metrics.jsonl');
  const log = new MetricsLog(path);
  log.append(step(0));
  log.append(step(1));
  t.equal(statSync(path).size, 0, 'buffered');
  log.append(warning('now'));
  t.same(lines(path), [step(0), step(1), warning('now')], 'written in order');
  log.close();
});

t.test('many steps do not wait', async (t) => {
  const path = join(t.testdir(), 'metrics.jsonl');
  const log = new MetricsLog(path);
  for (let n = 0; n < 2000; n++) log.append(step(n));
  t.ok(statSync(path).size > 64 * 1024, 'the buffer is bounded');
  log.close();
  t.equal(lines(path).length, 2000, 'closing writes the rest');
});

t.test('a resumed run continues from its checkpoint', async (t) => {
  const path = join(t.testdir(), 'metrics.jsonl');
  const first = new MetricsLog(path);
  first.append(step(0));
  const checkpoint = first.length();
  t.equal(statSync(path).size, checkpoint, 'the length counts what is in the file');
  first.append(warning('happens again'));
  first.close();
  appendFileSync(path, '{"event":"st');

  const second = new MetricsLog(path);
  second.truncateTo(checkpoint);
  t.equal(second.length(), checkpoint);
  second.append(step(1));
  second.sync();
  t.same(lines(path), [step(0), step(1)]);
  second.close();
});

t.test('a file that is not the checkpoint’s is refused and left alone', async (t) => {
  const path = join(t.testdir(), 'metrics.jsonl');
  const log = new MetricsLog(path);
  log.append(warning('a'));
  const length = log.length();
  t.throws(() => log.truncateTo(length + 1), UserError, 'shorter than the checkpoint says');
  t.throws(() => log.truncateTo(length - 3), UserError, 'no line ends there');
  t.equal(statSync(path).size, length);
  log.close();
});

t.test('a missing folder is a UserError', async (t) => {
  t.throws(() => new MetricsLog(join(t.testdir(), 'missing', 'metrics.jsonl')), {
    name: 'UserError',
    message: /cannot open .*there is no such file/,
  });
});
