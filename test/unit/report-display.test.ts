import { stripVTControlCharacters } from 'node:util';
import t from 'tap';
import type { LiveEvent, ProgressState } from '../../worker/report/display-state.ts';
import type { DisplayMode } from '../../worker/report/display.ts';
import { remainingSeconds } from '../../worker/report/eta.ts';
import { advance, initialProgress } from '../../worker/report/display-state.ts';
import { createDisplay, displayMode } from '../../worker/report/display.ts';
import { eventLine, fit, statusLines, statusText } from '../../worker/report/status-lines.ts';
import { evaluationAt, roundAt, sampleEvents, samplePlan, stepAt } from '../support/sample-run.ts';

const start: LiveEvent = {
  event: 'run',
  job: 'sample',
  method: 'FedBiOT',
  rounds: 10,
  clients: 2,
  resumedFromRound: null,
  plan: samplePlan,
};
const phase = (name: 'align' | 'local' | 'aggregate' | 'evaluate', round: number, steps: number | null): LiveEvent => ({
  event: 'phase',
  phase: name,
  round,
  steps,
});
const localStep = (round: number, client: number, step: number, loss: number): LiveEvent => ({
  ...stepAt('local', round, client, step, loss),
  event: 'localStep',
});
const finished = (round: number): LiveEvent => ({ event: 'round', ...roundAt(round) });
const after = (...events: readonly [number, LiveEvent][]): ProgressState =>
  events.reduce((state, [now, event]) => advance(state, event, now), initialProgress);

t.test('local steps are counted as they are computed, not again when a result is accepted', async (t) => {
  const state = after(
    [0, start],
    [10, phase('local', 1, 4)],
    [11, localStep(1, 0, 0, 4)],
    [12, localStep(1, 1, 0, 2)],
    [12, stepAt('local', 1, 0, 0, 4)],
  );
  t.equal(state.phase?.done, 2);
  t.equal(state.localLoss, 3);
  t.equal(statusText(state, 12), 'round 1/10  local 2/4  1.00 steps/s  100 tokens/s  loss 3.000');
});

t.test('states that steps wait for are shown until they are computed', async (t) => {
  const sweep = (phase: 'align' | 'local', client: number | null, done: number): LiveEvent => ({
    event: 'sweep',
    ...{ phase, round: 1, client, done },
  });
  const begun: [number, LiveEvent][] = [
    [0, start],
    [10, phase('local', 1, 4)],
  ];
  const waiting = after(...begun, [11, sweep('local', 0, 0.25)], [12, sweep('local', 1, 0.25)]);
  t.equal(statusText(waiting, 12), 'round 1/10  local 0/4  hidden states 25.0 %');
  t.equal(statusLines(waiting, 12, 79, false)[0], 'round 1/10  ┈┈┈┈┈┈┈┈┈┈┈┈  local 0/4  hidden states 25.0 %');
  const later = advance(waiting, sweep('local', 1, 0.75), 13);
  t.match(statusText(later, 13), /hidden states 50\.0 %$/, 'the mean of the clients that wait');
  const one = advance(later, sweep('local', 0, 1), 14);
  t.match(statusText(one, 14), /hidden states 75\.0 %$/);
  t.equal(statusText(advance(one, sweep('local', 1, 1), 15), 15), 'round 1/10  local 0/4');
  t.equal(statusText(advance(later, phase('aggregate', 1, null), 16), 16), 'round 1/10  aggregate');
  const resumed = after([0, start], [5, sweep('align', null, 0.5)]);
  t.equal(statusText(resumed, 6), 'round 1/10  align  hidden states 50.0 %', 'a resumed run emits no phase');
});

t.test('the importance of layers is measured before a run has rounds', async (t) => {
  const measuring = after([1, { event: 'measuring', done: 0.45 }]);
  t.equal(statusText(measuring, 2), 'importance of layers 45.0 %');
  t.match(statusLines(measuring, 2, 79, false)[0], /^importance of layers 45\.0 %/);
  t.equal(statusText(advance(measuring, start, 3), 3), 'preparing');
});

t.test('the bar of an evaluation and its time follow the parts of a score', async (t) => {
  const events: [number, LiveEvent][] = [
    [0, start],
    [0, finished(1)],
    [10, phase('evaluate', 2, null)],
    [20, { event: 'evaluating', done: 1.5, total: 3 }],
  ];
  const state = after(...events);
  t.match(statusLines(state, 20, 120, false)[0], /━━━━━━┈┈┈┈┈┈ {2}evaluate 1\/3 /);
  t.equal(remainingSeconds(state, 20), 8 * 11 + 10);
});

t.test('a resumed alignment shows its position and its own rate', async (t) => {
  const state = after([0, start], [5, stepAt('align', 3, null, 80, 1)], [5.05, stepAt('align', 3, null, 81, 3)]);
  t.equal(state.round, 3);
  t.equal(state.phase?.done, 82);
  t.equal(statusText(state, 6), 'round 3/10  align 82  20.0 steps/s  2,000 tokens/s  loss 2.000');
});

t.test('the shown loss is the mean over the last twenty steps', async (t) => {
  const steps = Array.from({ length: 50 }, (_, i): [number, LiveEvent] => [i, stepAt('align', 1, null, i, i)]);
  t.equal(after([0, start], ...steps).alignmentLoss, 39.5);
});

t.test('while matrices are rounded, the status says how many', async (t) => {
  const rounding = after(
    [0, { event: 'quantizing', done: 0, total: 98 }],
    [9, { event: 'quantizing', done: 1, total: 98 }],
  );
  t.equal(statusText(rounding, 10), 'rounding to 4 bits: matrix 1/98');
  t.equal(statusText(advance(rounding, start, 10), 10), 'preparing');
});

t.test('time left', async (t) => {
  const untilRound = (last: number): [number, LiveEvent][] =>
    Array.from({ length: last }, (_, i) => [0, finished(i + 1)]);
  t.equal(remainingSeconds(after([0, start], [0, phase('align', 1, 100)]), 50), null, 'unknown before a round is done');
  t.equal(
    remainingSeconds(after([0, start], ...untilRound(1)), 0),
    9 * 11,
    'the first alignment says nothing about the others',
  );
  // A typical round: align 5 s, local 10 s, aggregate 1 s, evaluate 4 s in every second round.
  t.equal(remainingSeconds(after([0, start], ...untilRound(4)), 0), 6 * 18);
  const fifth: [number, LiveEvent][] = [[0, start], ...untilRound(4)];
  t.equal(remainingSeconds(after(...fifth, [100, phase('local', 5, 20)]), 104), 5 * 18 + 6 + 3, 'by the usual time');
  t.equal(
    remainingSeconds(after(...fifth, [100, phase('local', 5, 4)], [106, localStep(5, 0, 0, 1)]), 106),
    5 * 18 + 18 + 3,
    'by its own pace, once it has one',
  );
  t.equal(
    remainingSeconds(after(...fifth, [100, phase('aggregate', 5, null)]), 200),
    5 * 18 + 2,
    'late is not negative',
  );
  t.equal(remainingSeconds(after([0, start], ...untilRound(10)), 0), 0);
});

t.test('status lines fit the terminal, what matters least goes first', async (t) => {
  const state = after(
    [0, start],
    [0, finished(1)],
    [0, { event: 'evaluation', round: 1, ...evaluationAt(1) }],
    [60, phase('local', 2, 4)],
    [61, localStep(2, 0, 0, 0.5)],
  );
  t.same(statusLines(state, 61, 120, false), [
    'round 2/10  ━━━┈┈┈┈┈┈┈┈┈  local 1/4  1.00 steps/s  100 tokens/s  ETA 1:32',
    'align 1.000  local 0.5000  accuracy:  base 10.0 %  AdapEmu 11.0 %  AdapFu 12.0 %  elapsed 1:01',
  ]);
  t.same(statusLines(state, 61, 40, false), [
    'round 2/10  local 1/4  ETA 1:32',
    'align 1.000  local 0.5000  AdapFu 12.0 %',
  ]);
  for (let columns = 1; columns < 130; columns++) {
    const [plain, colored] = [statusLines(state, 61, columns, false), statusLines(state, 61, columns, true)];
    t.ok(
      plain.every((line) => line.length <= columns),
      `${columns} columns`,
    );
    t.same(colored.map(stripVTControlCharacters), plain, 'color takes no room');
  }
  t.ok(statusLines(state, 61, 120, true)[0]?.includes('\x1b['));
  t.equal(fit([{ text: 'abcdef', rank: 0 }], 4, false), 'abc…');
});

t.test('permanent lines', async (t) => {
  const lines = sampleEvents(3)
    .map((event) => eventLine(event, 3))
    .filter((line) => line !== null);
  t.same(lines, [
    'sample: FedBiOT, 3 rounds, 2 clients',
    'round 1/3  2 of 2 clients reported  alignment loss 1.000  local loss 2.000  1:01',
    'round 2/3  accuracy base 10.0 %  AdapEmu 12.0 %  AdapFu 14.0 %  loss base 3.000  AdapEmu 2.900  AdapFu 2.480',
    'round 2/3  2 of 2 clients reported  alignment loss 0.5000  local loss 1.000  20.0 s',
    'round 3/3  1 of 2 clients reported, 1 dropped  alignment loss 0.3333  local loss 0.6667  16.0 s',
  ]);
  t.equal(eventLine({ event: 'warning', message: 'a\x1b[2Jb' }, 3), 'warning: ab', 'harmless to a terminal');
});

/** A display with a fake clock and a fake terminal. */
function display(mode: DisplayMode, columns = 80) {
  const written = { stdout: '', stderr: '' };
  let seconds = 0;
  const to = (stream: 'stdout' | 'stderr') => ({ columns, write: (text: string) => void (written[stream] += text) });
  const shown = createDisplay({ mode, color: false, stdout: to('stdout'), stderr: to('stderr'), now: () => seconds });
  return { shown, written, wait: (s: number) => (seconds += s) };
}

/** The content of a terminal after this output. Supports only the sequences that a display uses. */
function screen(output: string): string[] {
  const rows = [''];
  let [row, column] = [0, 0];
  for (const [piece, up] of output.matchAll(/\x1b\[(\d+)A|\x1b\[J|[^]/g)) {
    if (up !== undefined) row -= Number(up);
    else if (piece === '\x1b[J') rows.splice(row, Infinity, rows[row]!.slice(0, column));
    else if (piece === '\r') column = 0;
    else if (piece === '\n') [row, column] = [row + 1, 0];
    else {
      rows[row] = (rows[row] ?? '').slice(0, column).padEnd(column) + piece + (rows[row] ?? '').slice(column + 1);
      column++;
    }
    rows[row] ??= '';
  }
  return rows;
}

t.test('a live status stays in place below the permanent lines', async (t) => {
  const { shown, written, wait } = display('live');
  shown.show(start);
  shown.show(phase('local', 1, 4));
  for (let step = 0; step < 3; step++) {
    wait(1);
    shown.show(localStep(1, 0, step, 1));
  }
  t.same(screen(written.stderr), [
    'sample: FedBiOT, 10 rounds, 2 clients',
    'round 1/10  ━━━━━━━━━┈┈┈  local 3/4  1.00 steps/s  100 tokens/s',
    'local 1.000  elapsed 0:03',
  ]);
  shown.note('stopping');
  shown.close();
  t.same(screen(written.stderr), ['sample: FedBiOT, 10 rounds, 2 clients', 'stopping', '']);
  t.equal(written.stdout, '', 'results only go there');
});

t.test('a live status is not redrawn for every step', async (t) => {
  const { shown, written, wait } = display('live');
  shown.show(start);
  shown.show(phase('local', 1, 1000));
  const before = written.stderr.length;
  for (let step = 0; step < 90; step++) {
    wait(0.001);
    shown.show(localStep(1, 0, step, 1));
  }
  t.equal(written.stderr.length, before);
});

t.test('plain lines: each phase and round, and every ten seconds', async (t) => {
  const { shown, written, wait } = display('plain');
  shown.show(start);
  shown.show(phase('local', 1, 40));
  for (let step = 0; step < 40; step++) {
    wait(0.5);
    shown.show(localStep(1, 0, step, 1));
  }
  wait(11);
  shown.tick();
  shown.show(finished(1));
  t.same(written.stderr.split('\n'), [
    'sample: FedBiOT, 10 rounds, 2 clients',
    'round 1/10  local: 40 steps',
    'round 1/10  local 20/40  2.00 steps/s  200 tokens/s  loss 1.000',
    'round 1/10  local 40/40  2.00 steps/s  200 tokens/s  loss 1.000',
    'round 1/10  local 40/40  2.00 steps/s  200 tokens/s  loss 1.000',
    'round 1/10  2 of 2 clients reported  alignment loss 1.000  local loss 2.000  1:01',
    '',
  ]);
});

t.test('json is the events and nothing else; quiet is the warnings', async (t) => {
  const events = sampleEvents(2);
  const json = display('json');
  const quiet = display('quiet');
  for (const { shown } of [json, quiet]) {
    for (const event of events) shown.show(event);
    shown.show(localStep(1, 0, 0, 1));
    shown.show({ event: 'measuring', done: 0.5 });
    shown.show({ event: 'evaluating', done: 1, total: 2 });
    shown.show({ event: 'sweep', phase: 'local', round: 1, client: 0, done: 0.5 });
    shown.show({ event: 'quantizing', done: 1, total: 2 });
    shown.show({ event: 'warning', message: 'slow' });
    shown.note('stopping');
  }
  const lines = json.written.stdout
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  t.same(lines, [...events, { event: 'warning', message: 'slow' }]);
  t.equal(json.written.stderr, 'stopping\n');
  t.equal(quiet.written.stdout, '');
  t.equal(quiet.written.stderr, 'warning: slow\nstopping\n');
});

t.test('the display is chosen by option and terminal', async (t) => {
  t.equal(displayMode({ json: false, quiet: false }, true, 'xterm'), 'live');
  t.equal(displayMode({ json: false, quiet: false }, true, 'dumb'), 'plain');
  t.equal(displayMode({ json: false, quiet: false }, false, 'xterm'), 'plain');
  t.equal(displayMode({ json: true, quiet: false }, true, 'xterm'), 'json');
  t.equal(displayMode({ json: false, quiet: true }, true, 'xterm'), 'quiet');
});
