// Commands on a machine that lacks memory, disk space or files: the error has two lines, the exit code says whether a
// retry may succeed, and earlier results are kept.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import { memoryGroup, noMemoryGroup } from '../support/memory-group.ts';
import { writeTinyJob } from '../support/tiny-job.ts';

const FEDBIOT = fileURLToPath(new URL('../../worker/fedbiot.ts', import.meta.url));
const HOG = fileURLToPath(new URL('../support/compute-hog.ts', import.meta.url));
const root = t.testdir();
const job = writeTinyJob(root);
const isRoot = process.getuid?.() === 0;

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param setup shell commands before the program, such as limits @param wrap a command that starts it */
function fedbiot(args: readonly string[], { setup = '', wrap = '' }: { setup?: string; wrap?: string } = {}): Ended {
  // The test runner observes processes through that variable, and fails under the limits itself.
  const script = `unset NODE_OPTIONS\n${setup}\nexec ${wrap} "$@"`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', process.execPath, FEDBIOT, ...args], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  return { status, stdout, stderr };
}

const run = (out: string, ...more: string[]) => ['run', job, '--out', out, '--quiet', '--threads', '1', ...more];

function told(t: Test, { status, stderr }: Omit<Ended, 'stdout'>, code: number, message: RegExp, hint: RegExp): void {
  t.equal(status, code, stderr);
  t.match(stderr, /^error: .+\nhint: .+\n$/m, 'in two lines');
  t.match(stderr, message);
  t.match(/^hint: (.*)$/m.exec(stderr)?.[1] ?? '', hint);
  t.notMatch(stderr, /defect|    at /);
}

t.test('an --out that cannot be written to', async (t) => {
  writeFileSync(join(root, 'file'), '');
  const cases: [out: string, message: RegExp][] = [
    [join(root, 'file'), /file is a file, not a folder/],
    [join(root, 'file/below'), /a part of the path is a file, not a folder/],
    ['/dev/null', /is a file, not a folder/],
    [join(root, 'x'.repeat(300)), /the name is too long/],
    ['/proc/fedbiot', /no such file or folder/],
  ];
  for (const [out, message] of cases) told(t, fedbiot(run(out)), 2, message, /path|folder/);
});

t.test('a cache that cannot be written to', async (t) => {
  const score = ['--model', join(root, 'model'), '--data', join(root, 'eval.jsonl'), '--task', 'loss'];
  told(
    t,
    fedbiot(['eval', ...score, '--compute-weights', 'Int8'], { setup: 'export XDG_CACHE_HOME=/proc/fedbiot' }),
    2,
    /cannot create the folder \/proc\/fedbiot: there is no such file or folder \(ENOENT\)/,
    /Check the path/,
  );
});

t.test('an empty path is refused', async (t) => {
  for (const args of [
    ['run', job, '--out', ''],
    ['run', '', '--out', 'x'],
    ['export', root, '--to', ''],
    ['report', ''],
    ['plan', ''],
    ['validate', ''],
    ['run', job, '--out', 'x', '--metrics-port', '0', '--metrics-host', ''],
  ]) {
    const { status, stderr } = fedbiot(args);
    t.equal(status, 2, args.join(' '));
    t.match(stderr, /It is empty\./);
  }
  t.notOk(existsSync('x'));
});

t.test('a low limit of open files', async (t) => {
  // Node itself needs about twenty.
  told(
    t,
    fedbiot(run(join(root, 'files')), { setup: 'ulimit -n 24' }),
    1,
    /too many files are open in this process \(EMFILE\)|cannot start a compute process/,
    /ulimit -n/,
  );
});

t.test('a low limit of the file size', async (t) => {
  const out = join(root, 'short');
  told(
    t,
    fedbiot(run(out), { setup: 'ulimit -f 16' }),
    2,
    /the file would exceed the size limit \(EFBIG\)/,
    /ulimit -f/,
  );
  t.equal(fedbiot(run(out, '--resume')).status, 0, 'and with longer ones it goes on');
});

t.test('a full disk under the output does not end a run', async (t) => {
  const shell = (out: string, redirect: string) => {
    const script = `unset NODE_OPTIONS; "$@" ${redirect}`;
    const { status, stderr } = spawnSync(
      'bash',
      ['-c', script, 'bash', process.execPath, FEDBIOT, 'run', job, '--out', out, '--threads', '1', '--json'],
      { encoding: 'utf8' },
    );
    t.ok(existsSync(join(out, 'adapter/adapter_model.safetensors')), 'the run has its adapter');
    return { status, stderr };
  };
  told(
    t,
    shell(join(root, 'printed'), '>/dev/full'),
    2,
    /cannot print all of the output: the disk is full/,
    /Free some space/,
  );
  t.equal(shell(join(root, 'logged'), '2>/dev/full >/dev/null').status, 0, 'nor under a log');
  t.same(shell(join(root, 'closed'), '>&- <&-'), { status: 0, stderr: '' }, 'nor is there a need for any output');
  t.same(
    shell(join(root, 'piped'), '| head -1 >/dev/null; exit ${PIPESTATUS[0]}'),
    { status: 0, stderr: '' },
    'and a reader may have read enough',
  );
});

t.test('a trace is not mixed with another', async (t) => {
  told(
    t,
    fedbiot(run(join(root, 'traced'), '--trace', root)),
    2,
    /is not empty: a trace would be mixed/,
    /another --trace folder/,
  );
});

t.test(
  'a folder of another user',
  { skip: !isRoot && 'NOT CHECKED: only root can become somebody else' },
  async (t) => {
    const folder = join(root, 'locked');
    mkdirSync(folder, { mode: 0o555 });
    // Root without its capabilities is a normal user.
    const wrap = 'setpriv --bounding-set -all --inh-caps -all --reuid 0';
    told(t, fedbiot(run(join(folder, 'run')), { wrap }), 2, /permission is denied \(EACCES\)/, /permissions/);
  },
);

t.test(
  'a small disk, and one that is read-only',
  { skip: !isRoot && 'NOT CHECKED: only root can mount' },
  async (t) => {
    const disk = join(root, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'fedbiot', disk]);
    t.teardown(() => execFileSync('umount', [disk]));
    const out = join(disk, 'run');
    mkdirSync(join(root, 'half'));
    const half = writeTinyJob(join(root, 'half'), { model: '{ uri: model, dtype: bfloat16 }' });
    const converting = ['run', half, '--out', out, '--quiet', '--threads', '1'];
    told(
      t,
      fedbiot(converting),
      2,
      /this run writes 2\d\d KiB to .*run\/cache, which has only 1\d\d KiB of free disk space/,
      /Free some space there, or choose another --out folder; model\.dtype: auto .*writes no converted weights/,
    );
    t.notOk(existsSync(out), 'before anything was written');
    told(t, fedbiot(run(out)), 2, /the disk is full \(ENOSPC\)/, /Free some space/);
    execFileSync('mount', ['-o', 'remount,size=64m', disk]);
    t.equal(fedbiot(run(out, '--resume')).status, 0, 'with more space it goes on');
    t.ok(readFileSync(join(out, 'adapter/adapter_model.safetensors')).byteLength > 0);
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    told(t, fedbiot(run(out, '--resume')), 2, /the file system is read-only \(EROFS\)/, /permissions/);
    told(t, fedbiot(run(join(disk, 'other'))), 2, /the file system is read-only \(EROFS\)/, /permissions/);
    told(
      t,
      fedbiot(['export', out, '--to', join(disk, 'adapter')]),
      2,
      /the file system is read-only \(EROFS\)/,
      /permissions/,
    );
    told(t, fedbiot(['report', out]), 2, /the file system is read-only \(EROFS\)/, /permissions/);
  },
);

t.test('a control group with little memory', { skip: noMemoryGroup }, async (t) => {
  const inside = { setup: memoryGroup(t, 'small', 300 * 2 ** 20) };
  const out = join(root, 'small');
  told(
    t,
    fedbiot(run(out), inside),
    2,
    /this run needs about [\d.]+ MiB of memory, but the limit of its control group is 300 MiB/,
    /^The least is [\d.]+ MiB, with emulator\.alignment\.batchSize: 1, .*sequenceLength: 96\b.* --force/,
  );
  t.notOk(existsSync(out), 'before anything was written');
  const plan = fedbiot(['plan', job, '--no-time'], inside);
  t.equal(plan.status, 0, plan.stderr);
  t.match(
    plan.stdout,
    /\nThis machine does not have enough memory\. The least is [\d.]+ MiB, with .*sequenceLength: 96\b.*\n$/,
  );
  const score = [
    'eval',
    '--model',
    join(root, 'model'),
    '--data',
    join(root, 'eval.jsonl'),
    '--task',
    'loss',
    '--threads',
    '1',
  ];
  told(
    t,
    fedbiot(score, inside),
    2,
    /this evaluation needs about [\d.]+ MiB of memory, but the limit of its control group is 300 MiB/,
    /--force/,
  );
  const forced = fedbiot([...score, '--force'], inside);
  t.equal(forced.status, 0, forced.stderr);
  t.match(forced.stderr, /^warning: this evaluation needs about/m);
});

t.test('a compute process that takes more than the control group has', { skip: noMemoryGroup }, async (t) => {
  const setup = `unset NODE_OPTIONS; ${memoryGroup(t, 'compute', 500 * 2 ** 20)}; exec "$@"`;
  const hog = () => spawnSync('bash', ['-c', setup, 'bash', process.execPath, HOG, '4096'], { encoding: 'utf8' });
  // In one of ten cases the kernel kills both processes, before it has freed the memory of the first.
  let end = hog();
  for (let again = 0; again < 5 && end.signal === 'SIGKILL'; again++) end = hog();
  const { status, stdout } = end;
  t.match(
    stdout,
    /^OutOfMemory: the compute process was killed by the kernel: it is out of memory; by the plan, this server pod needs about 2\.00 GiB, and its limit is 500 MiB\. Use shorter sequences/,
    'the kernel’s count tells it from another kill',
  );
  t.equal(status, 71);
});

t.test('a compute process whose memory is limited', async (t) => {
  const { status, stdout } = spawnSync(
    'bash',
    ['-c', 'unset NODE_OPTIONS; ulimit -v 3000000; exec "$@"', 'bash', process.execPath, HOG, '8192'],
    { encoding: 'utf8' },
  );
  // Either an allocation's error is caught, or it aborts the process, as a defect would.
  if (stdout.startsWith('SystemFailure')) {
    t.match(stdout, /^SystemFailure: the compute process was killed by SIGABRT \(out of memory\?\)/);
    t.equal(status, 1);
  } else {
    t.match(stdout, /^OutOfMemory: the compute process is out of memory: /);
    t.match(stdout, /; by the plan, this server pod needs about 2\.00 GiB/);
    t.equal(status, 71);
  }
});
