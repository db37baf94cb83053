import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { CheckpointStore } from '../../worker/federation/checkpoint.ts';
import { writeDurably } from '../../worker/files/durable-files.ts';
import type { SavedSnapshot } from '../../worker/federation/snapshot.ts';
import { begin } from '../../worker/federation/state.ts';
import { initialLora, layouts, settings } from '../support/quadratic-federation.ts';
import { digest, metricsOf, runQuadratic } from '../support/quadratic-run.ts';

const origin = { identity: 'identity', date: null };

/** The end of round `round`. The length of the metrics depends on the round as well. */
function endOf(round: number): SavedSnapshot {
  const lora = { adapter: initialLora().adapter.map((value) => value + round), emulator: initialLora().emulator };
  return {
    metricsBytes: 100 * round,
    snapshot: { state: begin(round + 1), lora, alignment: null, refusals: { late: round } },
  };
}

/** A point within the alignment of round `round`. */
function within(round: number, step: number): SavedSnapshot {
  const { emulator } = initialLora();
  const alignment = {
    step,
    losses: [0.1, 1 / 3],
    parameters: emulator,
    moments: [emulator.map((m) => m / 3), new Float32Array(3)],
  };
  const { snapshot, metricsBytes } = endOf(round - 1);
  return { metricsBytes: metricsBytes + step, snapshot: { ...snapshot, alignment } };
}

const noWarning = (message: string) => {
  throw new Error(`a warning: ${message}`);
};

function store(
  folder: string,
  options: Partial<ConstructorParameters<typeof CheckpointStore>[1]> = {},
): CheckpointStore {
  return new CheckpointStore(folder, { layouts, origin, keep: 2, ...options });
}

const names = (folder: string) => readdirSync(folder).sort();

t.test('a saved checkpoint is loaded, bit for bit', async (t) => {
  const folder = join(t.testdir(), 'checkpoints');
  t.equal(await store(folder).load(noWarning), null, 'nothing to begin with');
  for (const saved of [within(1, 4), endOf(1), within(2, 9)]) {
    await store(folder).save(saved);
    t.strictSame(await store(folder).load(noWarning), saved);
  }
  execFileSync('sha256sum', ['-c', '--quiet', 'SHA256SUMS'], { cwd: join(folder, 'round-0002-part-1') });
});

t.test('the newest are kept', async (t) => {
  const folder = join(t.testdir(), 'checkpoints');
  const checkpoints = store(folder);
  for (const step of [1, 2, 3]) await checkpoints.save(within(1, step));
  t.strictSame(names(folder), ['round-0001-part-2', 'round-0001-part-3']);
  await checkpoints.save(endOf(1));
  t.strictSame(names(folder), ['round-0001']);
  for (const round of [2, 3, 4]) await checkpoints.save(endOf(round));
  t.strictSame(names(folder), ['round-0003', 'round-0004']);
  await checkpoints.save(within(5, 1));
  t.strictSame(names(folder), ['round-0003', 'round-0004', 'round-0005-part-1']);
  await store(folder, { keep: 1 }).save(endOf(5));
  t.strictSame(names(folder), ['round-0005']);
});

t.test('a damaged checkpoint is renamed with a warning, and the one before it is used', async (t) => {
  const root = t.testdir();
  const good = join(root, 'good');
  for (const saved of [endOf(1), endOf(2)]) await store(good).save(saved);
  const damages: Record<string, (folder: string) => void> = {
    'lora.safetensors has another byte': (folder) => {
      const bytes = readFileSync(join(folder, 'lora.safetensors'));
      bytes[bytes.length - 3]! ^= 4;
      writeFileSync(join(folder, 'lora.safetensors'), bytes);
    },
    'state.json is cut off': (folder) => truncateSync(join(folder, 'state.json'), 20),
    'state.json is missing': (folder) => rmSync(join(folder, 'state.json')),
    'SHA256SUMS is missing': (folder) => rmSync(join(folder, 'SHA256SUMS')),
    'SHA256SUMS is empty': (folder) => truncateSync(join(folder, 'SHA256SUMS'), 0),
    'everything is missing': (folder) => readdirSync(folder).forEach((name) => rmSync(join(folder, name))),
  };
  for (const [what, damage] of Object.entries(damages)) {
    const folder = join(root, what.replaceAll(' ', '-'));
    cpSync(good, folder, { recursive: true });
    damage(join(folder, 'round-0002'));
    const warnings: string[] = [];
    t.strictSame(await store(folder).load((message) => warnings.push(message)), endOf(1), what);
    t.match(warnings, [/round-0002 is damaged \(.+\): continuing from the one before it$/]);
    t.strictSame(names(folder), ['round-0001', 'round-0002.damaged']);
    await store(folder).save(endOf(2));
    t.strictSame(await store(folder).load(noWarning), endOf(2), 'and its name is free again');
  }
});

t.test('if all are damaged, the run does not silently start again', async (t) => {
  const folder = join(t.testdir(), 'checkpoints');
  await store(folder).save(endOf(1));
  rmSync(join(folder, 'round-0001', 'state.json'));
  await t.rejects(
    store(folder).load(() => {}),
    { name: 'UserError', message: /every checkpoint in .* is damaged/ },
  );
});

t.test('the checkpoint of another run is refused', async (t) => {
  const folder = join(t.testdir(), 'checkpoints');
  await store(folder).save(endOf(1));
  await t.rejects(store(folder, { origin: { identity: 'other', date: null } }).load(noWarning), {
    name: 'UserError',
    message: /another job/,
  });
  t.strictSame(names(folder), ['round-0001'], 'it is left alone');
});

/** Fails with `code` at the n-th file, after writing a part of it. */
function failing(n: number, code: string) {
  let files = 0;
  return async (path: string, bytes: Uint8Array) => {
    if (++files < n) return writeDurably(path, bytes);
    writeFileSync(path, bytes.subarray(0, bytes.byteLength / 2));
    throw Object.assign(new Error(`${code}: a failing disk`), { code, syscall: 'write' });
  };
}

t.test('disk full: a clear error, and the checkpoint before it is intact', async (t) => {
  const root = t.testdir();
  for (const n of [1, 2, 3, 4]) {
    const folder = join(root, `file-${n}`);
    await store(folder).save(endOf(1));
    const error = await store(folder, { write: failing(n, 'ENOSPC') })
      .save(within(2, 1))
      .then(
        () => null,
        (error: unknown) => error,
      );
    t.ok(error instanceof UserError);
    t.match(error, { message: /^cannot write .*round-0002-part-1: the disk is full \(ENOSPC\)$/, hint: /--resume/ });
    t.strictSame(names(folder), ['round-0001'], 'nothing is left of it');
    t.strictSame(await store(folder).load(noWarning), endOf(1));
  }
  await t.rejects(
    store(join(root, 'other'), { write: failing(1, 'EIO') }).save(endOf(1)),
    { message: /the disk failed to read or write/, shortage: 'passing' },
    'and other failures of the disk as what they are',
  );
});

t.test('a full disk in the middle of a run ends it with that error; it resumes once there is space', async (t) => {
  const root = t.testdir();
  const job = settings({ rounds: 3 });
  const expected = await runQuadratic(join(root, 'whole'), job);
  for (const n of [1, 5, 8]) {
    const folder = join(root, `run-${n}`);
    await t.rejects(runQuadratic(folder, job, { write: failing(n, 'ENOSPC') }), {
      name: 'UserError',
      message: /the disk is full/,
    });
    t.strictSame(
      names(join(folder, 'checkpoints')).filter((name) => name.startsWith('.')),
      [],
    );
    t.equal(digest(await runQuadratic(folder, job)), digest(expected));
    t.strictSame(metricsOf(folder), metricsOf(join(root, 'whole')));
  }
});

t.test('incomplete files of a killed run are removed', async (t) => {
  const folder = join(t.testdir(), 'checkpoints');
  await store(folder).save(endOf(1));
  mkdirSync(join(folder, '.unfinished-round-0002'));
  writeFileSync(join(folder, '.unfinished-round-0002', 'state.json'), '{');
  t.strictSame(await store(folder).load(noWarning), endOf(1));
  t.notOk(existsSync(join(folder, '.unfinished-round-0002')));
});
