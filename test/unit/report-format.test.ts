import t from 'tap';
import { printable } from '../../crds/facts/printable.ts';
import {
  formatBytes,
  formatClock,
  formatCount,
  formatDuration,
  formatIndices,
  formatLoss,
  formatPercent,
  formatRate,
} from '../../worker/report/format.ts';

t.test('bytes carry the unit that leaves three digits', async (t) => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1536, '1.50 KiB'],
    [15.25 * 2 ** 20, '15.3 MiB'],
    [269 * 2 ** 20, '269 MiB'],
    [3 * 2 ** 40, '3.00 TiB'],
    [2 ** 65, '32768 PiB'],
  ];
  for (const [bytes, text] of cases) t.equal(formatBytes(bytes), text);
});

t.test('losses keep four digits at any size', async (t) => {
  const cases: [number | null, string][] = [
    [null, '–'],
    [0, '0.0000'],
    [0.00012345, '1.23e-4'],
    [0.12345, '0.1235'],
    [1.23456, '1.235'],
    [-0.98765, '-0.9877'],
    [123.456, '123.5'],
    [NaN, 'NaN'],
    [Infinity, 'Infinity'],
  ];
  for (const [loss, text] of cases) t.equal(formatLoss(loss), text);
});

t.test('times', async (t) => {
  t.equal(formatDuration(0.423), '0.42 s');
  t.equal(formatDuration(12.34), '12.3 s');
  t.equal(formatDuration(59.96), '1:00', 'never 60.0 s');
  t.equal(formatDuration(245), '4:05');
  t.equal(formatDuration(null), '–');
  t.equal(formatClock(5.4), '0:05');
  t.equal(formatClock(3599.6), '1:00:00', 'rounds before it splits');
  t.equal(formatClock(7384), '2:03:04');
  t.equal(formatClock(3 * 86_400 + 3661), '3 d 01:01:01');
  t.equal(formatClock(-1), '0:00');
});

t.test('counts, rates and shares', async (t) => {
  t.equal(formatCount(1234567), '1,234,567');
  t.equal(formatRate(12.345), '12.3');
  t.equal(formatRate(1840.4), '1,840');
  t.equal(formatPercent(0.56149), '56.1 %');
  t.equal(formatPercent(null), '–');
});

t.test('indices join into runs', async (t) => {
  t.equal(formatIndices([0, 1, 2, 8, 10, 11, 18, 19, 20]), '0–2, 8, 10, 11, 18–20');
  t.equal(formatIndices([]), 'none');
});

t.test('text from a file cannot drive the terminal', async (t) => {
  t.equal(printable('\x1b[2J\x1b]0;title\x07job\rname\n\u202e'), 'job name ');
  t.equal(printable('Größe 10³'), 'Größe 10³');
});
