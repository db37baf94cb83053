// A damaged metrics.jsonl: readable lines are kept, lost rounds come from the report, and a run can resume.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { RunEvent } from '../../crds/facts/events.ts';
import { randomStream } from '../../worker/random.ts';
import { repairMetrics, readLines } from '../../worker/report/metrics-repair.ts';
import { roundAt, sampleEvents } from '../support/sample-run.ts';

const ROUNDS = 6;
const seed = Number(process.env['FEDBIOT_TEST_SEED'] ?? Date.now() % 2 ** 31);
const lines = sampleEvents(ROUNDS)
  .slice(0, -1)
  .map((event) => Buffer.from(`${JSON.stringify(event)}\n`));
const whole = Buffer.concat(lines);
/** Events after the checkpoint, which are emitted again. */
const after = Buffer.from(`${JSON.stringify({ event: 'phase', phase: 'align', round: ROUNDS + 1, steps: 3 })}\n`);
const spare = Array.from({ length: ROUNDS }, (_, i) => roundAt(i + 1));
const known = { bytes: whole.length, rounds: ROUNDS, spare };

let folders = 0;
const base = t.testdir();
function mended(content: Buffer | null, options: Partial<typeof known> = {}) {
  const folder = join(base, String(folders++));
  mkdirSync(folder);
  const path = join(folder, 'metrics.jsonl');
  if (content !== null) writeFileSync(path, content);
  const message = repairMetrics(path, { ...known, ...options });
  const text = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  const { events, damaged } = readLines(text.subarray(0, known.bytes));
  const rounds = events
    .map(({ event }) => event)
    .filter((event): event is Extract<RunEvent, { event: 'round' }> => event.event === 'round');
  return {
    message,
    path,
    text,
    events: events.map(({ event }) => event),
    damaged,
    rounds,
    files: readdirSync(folder).sort(),
  };
}

t.test('a file that is whole is left as it is', async (t) => {
  for (const content of [whole, Buffer.concat([whole, after]), Buffer.concat([whole, Buffer.from('{"ev')])]) {
    const { message, text, files } = mended(content);
    t.equal(message, null);
    t.ok(text.equals(content));
    t.same(files, ['metrics.jsonl']);
  }
});

t.test('a lost file: the rounds come from the report', async (t) => {
  const { message, text, rounds } = mended(null);
  t.match(
    message,
    /metrics\.jsonl was missing: the lines that could be read are kept, rounds 1, 2, 3, 4, 5, 6 from report\.json$/,
  );
  t.equal(text.length, whole.length, 'as long as the checkpoint knows it');
  t.same(
    rounds.map(({ event: _, ...round }) => round),
    spare,
  );
});

t.test('a round whose number was changed', async (t) => {
  for (const number of [0, 3, ROUNDS + 3]) {
    const changed = whole.toString().replace(/("event":"round","round":)1\b/, `$1${number}`);
    t.not(changed, whole.toString());
    const { message, rounds, path } = mended(Buffer.from(changed));
    t.match(message, number === 3 ? /rounds 1, 3 from report\.json/ : /round 1 from report\.json/);
    t.same(
      rounds.map(({ event: _, ...round }) => round),
      spare,
    );
    t.equal(repairMetrics(path, known), null);
  }
});

t.test('without a report, the loss is reported', async (t) => {
  const { message, rounds, damaged, events } = mended(whole.subarray(0, whole.length - 400), { spare: [] });
  t.match(message, /cut to \d+ of \d+ bytes.*the report lacks rounds 6; it is kept as .*metrics\.jsonl\.damaged/);
  t.same(
    rounds.map(({ round }) => round),
    [1, 2, 3, 4, 5],
  );
  t.equal(damaged, 0);
  t.match(events.at(-1), { event: 'warning', message });
});

t.test(`whatever happens to it, a run can go on: seed ${seed}`, async (t) => {
  const random = randomStream(seed, 'metrics');
  const full = Buffer.concat([whole, after]);
  const damages: Record<string, (bytes: Buffer) => Buffer> = {
    'a flipped bit': (bytes) => {
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    },
    'cut off': (bytes) => bytes.subarray(0, random.below(bytes.length)),
    'a block of zeros': (bytes) => bytes.fill(0, random.below(bytes.length), random.below(bytes.length)),
    'bytes taken out': (bytes) => {
      const at = random.below(bytes.length);
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(2000))]);
    },
    'bytes put in': (bytes) => {
      const at = random.below(bytes.length);
      return Buffer.concat([bytes.subarray(0, at), Buffer.from('\n{"event":"round"}\n\u{1f642}'), bytes.subarray(at)]);
    },
  };
  for (let i = 0; i < 300; i++) {
    const [what = '', damage = (bytes: Buffer) => bytes] = Object.entries(damages)[i % 5] ?? [];
    const content = damage(Buffer.from(full));
    const { message, text, damaged, rounds, events, path } = mended(content);
    const isRight =
      text.length >= whole.length &&
      text[whole.length - 1] === 0x0a &&
      damaged === 0 &&
      rounds.length >= ROUNDS &&
      events.length > 0 &&
      (message === null || repairMetrics(path, known) === null);
    if (!isRight) t.fail(`${what}, the ${i}th of seed ${seed}: ${message}`);
    if (message !== null && !content.equals(readFileSync(`${path}.damaged`)))
      t.fail(`${what}: the damaged file is not kept`);
    rmSync(join(path, '..'), { recursive: true });
  }
  t.pass('300 damages');
});
