// Failures of the machine are reported as such, with a hint, and never as a bug. In a pod, the exit code says whether
// to retry.
import {
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { describeFailure } from '../../worker/commands/failure.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { makeFolder } from '../../worker/files/durable-files.ts';
import { endingOf } from '../../worker/run/pod/ending.ts';
import { reasonOf, SystemFailure, systemFailure, unable } from '../../worker/files/system-failure.ts';

const running = new AbortController().signal;

function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

const folder = t.testdir({ file: '', full: { inside: '' } });
const at = (...names: string[]) => join(folder, ...names);
symlinkSync('circle', at('circle'));

const real: readonly [what: string, error: unknown, words: RegExp, code: number, reason: string][] = [
  [
    'a file that is not there',
    thrown(() => readFileSync(at('none'))),
    /no such file or folder \(ENOENT\)/,
    2,
    'InvalidInput',
  ],
  [
    'a file as a folder',
    thrown(() => readFileSync(at('file/x'))),
    /is a file, not a folder \(ENOTDIR\)/,
    2,
    'InvalidInput',
  ],
  ['a folder as a file', thrown(() => readFileSync(folder)), /is a folder, not a file \(EISDIR\)/, 2, 'InvalidInput'],
  [
    'a name that is too long',
    thrown(() => writeFileSync(at('x'.repeat(300)), '')),
    /name is too long \(ENAMETOOLONG\)/,
    2,
    'InvalidInput',
  ],
  ['links in a circle', thrown(() => readFileSync(at('circle'))), /form a loop \(ELOOP\)/, 2, 'InvalidInput'],
  ['what is there already', thrown(() => mkdirSync(at('file'))), /exists already \(EEXIST\)/, 2, 'InvalidInput'],
  ['a folder with things in it', thrown(() => rmdirSync(at('full'))), /not empty \(ENOTEMPTY\)/, 2, 'InvalidInput'],
  [
    'a disk that is full',
    thrown(() => writeSync(openSync('/dev/full', 'w'), 'x')),
    /the disk is full \(ENOSPC\)/,
    2,
    'StorageFull',
  ],
  ['more memory than there is', thrown(() => Buffer.alloc(2 ** 52)), /out of memory \(ENOMEM\)/, 71, 'OutOfMemory'],
];

for (const [what, error, words, code, reason] of real) {
  t.test(what, async (t) => {
    const failure = systemFailure(error, 'cannot write it');
    t.ok(failure instanceof SystemFailure, String(error));
    if (!(failure instanceof SystemFailure)) return;
    t.match(failure.message, /^cannot write it: /);
    t.match(failure.message, words);
    t.ok(failure.hint, 'and what to do');
    t.equal(failure.cause, error);
    const told = describeFailure(error, '1');
    t.match(told.text, /^error: [^\n]+\nhint: [^\n]+\n$/, 'in two lines, wherever it was thrown');
    t.equal(told.code, code);
    t.match(endingOf(error, running), { code, termination: { reason } });
  });
}

t.test('every errno of file systems, memory and processes has a message', async (t) => {
  const codes = [
    'EACCES',
    'EPERM',
    'EROFS',
    'EDQUOT',
    'EFBIG',
    'EMFILE',
    'ENFILE',
    'ENOMEM',
    'EIO',
    'ESTALE',
    'EXDEV',
    'EBUSY',
    'ETXTBSY',
    'ENXIO',
    'ENODEV',
    'EAGAIN',
    'ENOTSUP',
    'EINVAL',
  ];
  const passing = new Set(['EMFILE', 'ENFILE', 'EIO', 'ESTALE', 'EBUSY', 'ETXTBSY', 'ENODEV', 'EAGAIN']);
  for (const code of codes) {
    t.ok(code in constants.errno, code);
    const error = Object.assign(new Error(`${code}: whatever, write`), {
      code,
      errno: -1,
      syscall: 'write',
      path: '/there',
    });
    const { text, code: exit } = describeFailure(error, '1');
    t.match(text, new RegExp(`^error: cannot write /there: [a-z][^(\\n]+ \\(${code}\\)\\nhint: `));
    if (code === 'ENOMEM') t.equal(exit, 71, 'out of memory has an exit code of its own');
    else
      t.equal(
        exit,
        passing.has(code) ? 1 : 2,
        `${code}: ${passing.has(code) ? 'may go well another time' : 'only the user can change it'}`,
      );
    t.equal(endingOf(error, running).code, exit, 'a pod says the same');
    t.not(endingOf(error, running).termination.reason, 'InternalError');
  }
});

t.test('an error that is not of a system call is unchanged', async (t) => {
  const defects = [
    new TypeError('a bug'),
    Object.assign(new Error('x'), { code: 'ENOENT' }),
    Object.assign(new Error('y'), { code: 'ERR_INVALID_ARG_TYPE', syscall: 'z' }),
    'thrown',
    null,
  ];
  for (const error of defects) {
    t.equal(systemFailure(error), error);
    t.match(describeFailure(error, '1'), { text: /This is a bug in fedbiot/, code: 1 });
  }
  const known = new UserError('known', { hint: 'do' });
  t.equal(systemFailure(known, 'cannot do it'), known, 'a UserError keeps its message');
  t.equal(reasonOf(new Error('its own words')), 'its own words');
});

t.test(
  'what a caller could not do it says in its words; its hint is about the path, and not about the machine',
  async (t) => {
    const hinted = (error: unknown) => unable('cannot read a.jsonl', error, 'Where it should be.');
    t.match(hinted(thrown(() => readFileSync(at('none')))), {
      message: /^cannot read a\.jsonl: there is no such/,
      hint: 'Where it should be.',
    });
    t.match(hinted(thrown(() => writeSync(openSync('/dev/full', 'w'), 'x'))), { hint: /Free some space/ });
    t.match(hinted(new SyntaxError('Unexpected token')), {
      name: 'UserError',
      message: 'cannot read a.jsonl: Unexpected token',
      hint: 'Where it should be.',
    });
  },
);

t.test('the process has too many open files', async (t) => {
  const handles = [];
  let failure: unknown = null;
  try {
    for (;;) handles.push(await open(at('file')));
  } catch (error) {
    failure = systemFailure(error, 'cannot read it');
  } finally {
    await Promise.all(handles.map((handle) => handle.close()));
  }
  t.match(failure, {
    message: /^cannot read it: too many files are open in this process \(EMFILE\)$/,
    hint: /ulimit -n/,
    shortage: 'passing',
  });
});

t.test('a folder is created with its parents; if that is impossible, the error says so', async (t) => {
  makeFolder(at('a/b/c'));
  makeFolder(at('a/b/c'));
  t.same(readdirSync(at('a')), ['b']);
  // Node's recursive mkdir never returns there.
  t.match(
    thrown(() => makeFolder('/proc/fedbiot/run')),
    { code: 'ENOENT' },
  );
  t.match(
    thrown(() => makeFolder(at('file/x'))),
    { code: /ENOTDIR|EEXIST/ },
  );
  symlinkSync('/nowhere/at/all', at('dangling'));
  t.match(
    thrown(() => makeFolder(at('dangling/x'))),
    { code: 'EEXIST' },
  );
  await t.rejects(mkdir(at('file')), { code: 'EEXIST' });
});
