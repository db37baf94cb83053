// A run's folder after disk faults or manual changes: an interrupted run continues to the same adapter, or reports what
// is missing.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { randomStream } from '../../worker/random.ts';
import { readEvents } from '../../worker/run/recorder.ts';
import { runTinyJob, writeTinyJob } from '../support/tiny-job.ts';

const seed = Number(process.env['FEDBIOT_TEST_SEED'] ?? Date.now() % 2 ** 31);
const random = randomStream(seed, 'damage');
const ROUNDS = 3;

const root = t.testdir();
const job = writeTinyJob(root, {
  federation: `{ rounds: ${ROUNDS}, clients: 2, local: { steps: 1, sequenceLength: 192 } }`,
});

async function adapterOf(
  out: string,
  resume = false,
  signal?: AbortSignal,
  onRound: (round: number) => void = () => {},
) {
  const warnings: string[] = [];
  const result = await runTinyJob(job, out, {
    resume,
    ...(signal && { signal }),
    onEvent: (event) => {
      if (event.event === 'warning') warnings.push(event.message);
      if (event.event === 'round') onRound(event.round);
    },
  });
  return {
    warnings,
    adapter: result.outcome === 'succeeded' ? result.report.adapterSha256 : null,
    rounds: result.outcome === 'succeeded' ? result.report.rounds.map(({ round }) => round) : [],
  };
}

const { adapter: wanted } = await adapterOf(join(root, 'whole'));
const stop = new AbortController();
const interrupted = join(root, 'interrupted');
await adapterOf(interrupted, false, stop.signal, (round) => void (round === 2 && stop.abort(new Error('stop'))));
const files = readdirSync(interrupted, { recursive: true, encoding: 'utf8' }).filter((name) =>
  statSync(join(interrupted, name)).isFile(),
);

const damages: Record<string, (path: string) => void> = {
  'is lost': (path) => rmSync(path),
  'is empty': (path) => writeFileSync(path, ''),
  'is cut off': (path) => writeFileSync(path, readFileSync(path).subarray(0, random.below(statSync(path).size))),
  'has a flipped bit': (path) => {
    const bytes = readFileSync(path);
    const at = random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    writeFileSync(path, bytes);
  },
  'is a folder': (path) => {
    rmSync(path);
    mkdirSync(path);
  },
};

let copies = 0;
async function after(name: string, damage: (path: string) => void) {
  const out = join(root, `copy-${copies++}`);
  cpSync(interrupted, out, { recursive: true });
  damage(join(out, name));
  try {
    return { out, ...(await adapterOf(out, true)) };
  } finally {
    if (copies > 1) rmSync(join(root, `copy-${copies - 2}`), { recursive: true, force: true });
  }
}

const INTACT = ['manifest.json', 'metrics.jsonl', 'report.json', 'job.json'];

t.test(`the run's own words lost or damaged: it goes on, seed ${seed}`, async (t) => {
  t.ok(
    INTACT.every((name) => files.includes(name)),
    files.join(' '),
  );
  for (const name of INTACT) {
    for (const [what, damage] of Object.entries(damages).slice(0, 4)) {
      const { adapter, rounds, warnings, out } = await after(name, damage);
      t.equal(adapter, wanted, `${name} ${what}: ${warnings.join('; ')}`);
      t.same(rounds, [1, 2, 3], 'the report has all rounds');
      t.same(
        readEvents(join(out, 'metrics.jsonl')).flatMap((event) => (event.event === 'round' ? [event.round] : [])),
        [1, 2, 3],
        'and metrics.jsonl',
      );
      if (name === 'metrics.jsonl' && what === 'is lost') t.match(warnings.join(), /metrics\.jsonl was missing/);
      if (name === 'manifest.json' && what !== 'has a flipped bit')
        t.match(warnings.join(), /manifest\.json was (missing|damaged|empty) and is rewritten/);
    }
  }
});

t.test(`other lost or damaged files: the same adapter, or a clear refusal, seed ${seed}`, async (t) => {
  for (const name of files.filter((name) => !INTACT.includes(name))) {
    const [what = '', damage = () => {}] = Object.entries(damages)[random.below(5)] ?? [];
    await after(name, damage).then(
      ({ adapter }) => t.equal(adapter, wanted, `${name} ${what}`),
      (error: unknown) => t.ok(error instanceof UserError, `${name} ${what}: ${String(error)}`),
    );
  }
  for (const name of INTACT) {
    await after(name, damages['is a folder'] ?? (() => {})).then(
      ({ adapter }) => t.equal(adapter, wanted, `${name} is a folder`),
      (error: unknown) => t.ok(error instanceof UserError, `${name} is a folder: ${String(error)}`),
    );
  }
});

t.test('a folder without its manifest is refused to another job, and to a new run', async (t) => {
  const out = join(root, 'manifest');
  cpSync(interrupted, out, { recursive: true });
  rmSync(join(out, 'manifest.json'));
  await t.rejects(runTinyJob(job, out), { name: 'UserError', message: /holds checkpoints of this job/ });
  const other = join(root, 'other.yaml');
  writeFileSync(other, readFileSync(job, 'utf8').replace('rounds: 3', 'rounds: 4'));
  await t.rejects(runTinyJob(other, out, { resume: true }), {
    name: 'UserError',
    message: /holds checkpoints of another job, or of this job with .*; its manifest\.json is missing/,
  });
  t.notOk(existsSync(join(out, 'manifest.json')), 'a refusal writes nothing');
  writeFileSync(join(out, 'manifest.json'), '{"name":"a web app"}');
  rmSync(join(out, 'checkpoints'), { recursive: true });
  await t.rejects(runTinyJob(job, out), { name: 'UserError', message: /manifest\.json is not the manifest of a run/ });
});
