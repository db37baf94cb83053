import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { thisProcess } from '../../worker/files/process-identity.ts';
import { openRunDirectory, readRunManifest } from '../../worker/run/run-directory.ts';
import type { RunManifest } from '../../worker/run/run-directory.ts';
import { begin } from '../../worker/federation/state.ts';
import { readJob } from '../../worker/run/job-manifest.ts';
import { RunRecorder } from '../../worker/run/recorder.ts';
import { initialLora, layouts } from '../support/quadratic-federation.ts';
import { writeTinyJob } from '../support/tiny-job.ts';

const manifest: RunManifest = { job: 'job', sha256: { spec: 'a', model: 'b' }, versions: { fedbiot: '1' } };

interface Options {
  readonly resume?: boolean;
  readonly takeOver?: boolean;
  readonly changes?: Partial<RunManifest>;
}

function open(root: string, { resume = false, takeOver = false, changes = {} }: Options = {}) {
  return openRunDirectory(root, { ...manifest, ...changes }, { resume, takeOver });
}

function errorOf(action: () => unknown): UserError {
  try {
    action();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error('no error was thrown');
}

t.test('a new folder is made, locked, and says what it is for', async (t) => {
  const root = join(t.testdir(), 'deep', 'run');
  const directory = open(root);
  t.strictSame(readdirSync(root).sort(), ['cache', 'checkpoints', 'manifest.json', 'run.lock']);
  t.strictSame(JSON.parse(readFileSync(directory.manifest, 'utf8')), manifest);
  t.match(directory.identity, /^[0-9a-f]{64}$/);
  directory.release();
  t.notOk(existsSync(join(root, 'run.lock')));
});

t.test('its identity is what the run is computed from, in any order, and nothing else', async (t) => {
  const root = t.testdir();
  const identity = (name: string, changes: Partial<RunManifest>) => {
    const directory = open(join(root, name), { changes });
    directory.release();
    return directory.identity;
  };
  const first = identity('a', {});
  t.equal(identity('b', { sha256: { model: 'b', spec: 'a' }, versions: {}, job: 'other' }), first);
  t.not(identity('c', { sha256: { model: 'b', spec: 'c' } }), first);
});

t.test('two runs on one folder: the second is refused', async (t) => {
  const root = join(t.testdir(), 'run');
  const first = open(root);
  const error = errorOf(() => open(root));
  t.equal(error.message, `${root} is in use by another run: process ${process.pid} on ${thisProcess().host}`);
  t.match(error.hint, /another --out folder/);
  first.release();
  open(root).release();
});

const holdLock = `
  import { openRunDirectory } from ${JSON.stringify(new URL('../../worker/run/run-directory.ts', import.meta.url))};
  openRunDirectory(process.argv[1], ${JSON.stringify(manifest)}, { resume: false });
  console.log('locked');
  setInterval(() => {}, 1000);
`;

t.test('a folder that another process holds is refused until it dies, then taken over', async (t) => {
  const root = join(t.testdir(), 'run');
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', holdLock, root], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  t.match(errorOf(() => open(root)).message, `process ${child.pid}`);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const directory = open(root);
  t.match(readFileSync(join(root, 'run.lock'), 'utf8'), `"pid":${process.pid}`);
  directory.release();
  t.strictSame(
    readdirSync(root).filter((name) => name.startsWith('run.lock')),
    [],
  );
});

t.test('a lock is stale when its process number has gone to another process', async (t) => {
  const root = join(t.testdir(), 'run');
  mkdirSync(root);
  const { started } = thisProcess();
  if (started === null) {
    t.comment('skipped: no /proc here, a process is known by its number only');
    return;
  }
  writeFileSync(join(root, 'run.lock'), JSON.stringify({ ...thisProcess(), started: `${started}0` }));
  open(root).release();
});

t.test('the lock of another machine cannot be judged, and is respected', async (t) => {
  const root = join(t.testdir(), 'run');
  mkdirSync(root);
  const lock = join(root, 'run.lock');
  writeFileSync(lock, JSON.stringify({ ...thisProcess(), host: 'elsewhere' }));
  const error = errorOf(() => open(root));
  t.match(error.message, `process ${process.pid} on elsewhere`);
  t.equal(error.hint, `If that run is no longer alive, remove ${lock}.`);
  writeFileSync(lock, 'not a lock');
  t.match(errorOf(() => open(root)).message, 'is not a valid lock of a run');
});

t.test('a run that was killed before it wrote anything but its lock begins again', async (t) => {
  const root = t.testdir({
    'run.lock': JSON.stringify({ ...thisProcess(), started: 'earlier' }),
    'run.lock.manifest': '{',
    'run.lock.1': '',
  });
  open(root).release();
});

t.test('a folder of something else is left alone', async (t) => {
  const root = t.testdir({ 'thesis.tex': 'all of it' });
  t.match(errorOf(() => open(root)).message, 'it holds thesis.tex and no manifest.json');
  t.strictSame(readdirSync(root), ['thesis.tex']);
  const other = t.testdir({ 'manifest.json': '{"name": "an app"}' });
  t.match(errorOf(() => open(other)).message, 'is not the manifest of a run');
  const pointer = t.testdir({ 'manifest.json': 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n' });
  t.match(
    errorOf(() => open(pointer)).message,
    'manifest.json is a Git LFS pointer instead of the file itself, not the manifest of a run',
  );
  t.match(errorOf(() => readRunManifest(join(pointer, 'manifest.json'))).message, 'a Git LFS pointer');
});

t.test('a folder of another job is refused, and what differs is named', async (t) => {
  const root = join(t.testdir(), 'run');
  open(root).release();
  for (const resume of [false, true]) {
    const error = errorOf(() =>
      open(root, { resume, changes: { job: 'other', sha256: { spec: 'z', model: 'b', 'data.eval': 'e' } } }),
    );
    t.equal(error.message, `${root} holds a run of job job, computed from another data.eval, spec`);
  }
  const same = errorOf(() => open(root, { changes: { sha256: { spec: 'a', model: 'c' } } }));
  t.equal(same.message, `${root} holds an earlier run of this job, computed from another model`);
  t.notOk(existsSync(join(root, 'run.lock')), 'a refusal keeps no lock');
  open(root, { changes: { versions: { fedbiot: '2' } } }).release();
});

t.test('a folder can be taken over: who had it finds out, and gives nothing back that is not its own', async (t) => {
  const root = join(t.testdir(), 'run');
  const first = open(root, { takeOver: true });
  t.notOk(first.tookOver, 'nobody had it');
  first.check();
  first.release();
  const lock = join(root, 'run.lock');
  writeFileSync(lock, `${JSON.stringify({ host: 'a-pod-that-may-be-alive', pid: 1, started: null })}\n`);
  t.match(errorOf(() => open(root)).hint, `remove ${lock}`);
  const second = open(root, { takeOver: true });
  t.ok(second.tookOver);
  second.check();
  writeFileSync(lock, `${JSON.stringify({ host: 'a-later-pod', pid: 1, started: null })}\n`);
  t.throws(() => second.check(), { name: 'FolderLost', message: `process 1 on a-later-pod has taken over ${root}` });
  second.release();
  t.ok(existsSync(lock), 'the later pod keeps its lock');
});

t.test('once another has the folder, a run’s record writes nothing more', async (t) => {
  const root = join(t.testdir(), 'run');
  const directory = open(root);
  const told: string[] = [];
  const spec = readJob(writeTinyJob(t.testdirName)).spec;
  const record = await RunRecorder.open({
    directory,
    layouts,
    spec,
    partition: [],
    onEvent: ({ event }) => void told.push(event),
  });
  record.emit({ event: 'warning', message: 'mine' });
  const before = readFileSync(directory.metrics, 'utf8');
  record.emit({ event: 'step', phase: 'align', round: 1, client: null, step: 0, loss: 1, tokens: 1, ms: 1 });
  writeFileSync(join(root, 'run.lock'), `${JSON.stringify({ host: 'a-later-pod', pid: 1, started: null })}\n`);
  const lost = { name: 'FolderLost' };
  t.throws(() => record.emit({ event: 'warning', message: 'not mine' }), lost);
  await t.rejects(
    record.save({ snapshot: { state: begin(1), lora: initialLora(), alignment: null, refusals: {} }, metricsBytes: 0 }),
    lost,
  );
  await t.rejects(record.finish(initialLora().adapter, 'model'), lost);
  record.close();
  t.same(told, ['warning', 'step']);
  t.equal(readFileSync(directory.metrics, 'utf8'), before, 'not even what was waiting to be written');
  t.same(readdirSync(directory.checkpoints), []);
  t.notOk(existsSync(directory.adapter));
});

t.test('a volume may be given as it was made', async (t) => {
  const root = t.testdir({ 'lost+found': {} });
  open(root, { resume: true }).release();
  t.match(errorOf(() => open(t.testdir({ 'lost+found': {}, other: '' }))).message, 'it holds other');
});

t.test('a folder with checkpoints is resumed only on request', async (t) => {
  const root = join(t.testdir(), 'run');
  open(root).release();
  mkdirSync(join(root, 'checkpoints', 'round-0001'));
  const error = errorOf(() => open(root));
  t.equal(error.message, `${root} holds checkpoints of this job`);
  t.match(error.hint, '--resume');
  open(root, { resume: true }).release();
});

t.test('resume needs a folder, though not yet a checkpoint', async (t) => {
  const root = join(t.testdir(), 'run');
  t.match(errorOf(() => open(root, { resume: true })).message, 'there is nothing to resume');
  open(root).release();
  open(root, { resume: true }).release();
});

t.test(
  'a folder that cannot be written is an error with a hint',
  { skip: process.getuid?.() === 0 ? 'root may write anywhere' : false },
  async (t) => {
    const root = t.testdir();
    spawnSync('chmod', ['a-w', root]);
    t.match(errorOf(() => open(join(root, 'run'))).message, 'permission is denied (EACCES)');
  },
);
