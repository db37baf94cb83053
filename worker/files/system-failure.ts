import { EXIT } from '../../crds/facts/exit-codes.ts';
import { errorMessage, UserError } from '../../crds/facts/user-error.ts';

/**
 * What failed: a `path` that cannot be used, a `full` file system, `memory` that this program may use,
 * `machineMemory`, which it shares with others, `gpuMemory`, a compute `process`, or something `passing`, such as a
 * disk error or a limit shared with other programs.
 */
export type Shortage = 'path' | 'full' | 'memory' | 'machineMemory' | 'gpuMemory' | 'process' | 'passing';

/** The exit code of a command or a pod that ends with a shortage. */
const EXIT_OF = {
  path: EXIT.invalid,
  full: EXIT.invalid,
  memory: EXIT.outOfMemory,
  machineMemory: EXIT.failed,
  // A pod's memory limit says nothing of its GPU: another node's may have more, or be used by nobody else.
  gpuMemory: EXIT.failed,
  process: EXIT.failed,
  passing: EXIT.failed,
} as const satisfies Readonly<Record<Shortage, number>>;

/** The machine could not do what was asked. It is not a bug, and the hint says what to do. */
export class SystemFailure extends UserError {
  readonly shortage: Shortage;

  constructor(shortage: Shortage, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options);
    this.shortage = shortage;
  }

  /** The exit code with which a command or a pod ends. */
  get exitCode() {
    return EXIT_OF[this.shortage];
  }
}

interface Refusal {
  readonly shortage: Shortage;
  /** Ends a sentence that says what was attempted. */
  readonly words: string;
  readonly hint: string;
}

const ELSEWHERE = 'Check the path, or choose another.';
const SPACE = 'Free some space there and run again; an interrupted run continues with --resume.';
const PERMISSIONS = 'Choose a folder that this user may read and write, or change its permissions.';
const DISK =
  'Check the disk, or the network connection to it; see the kernel’s log. An interrupted run continues with --resume.';

/** Errors of the operating system, by errno. */
const REFUSALS: ReadonlyMap<string, Refusal> = new Map(
  Object.entries<Refusal>({
    ENOENT: { shortage: 'path', words: 'there is no such file or folder', hint: 'Check the path.' },
    ENOTDIR: { shortage: 'path', words: 'a part of the path is a file, not a folder', hint: ELSEWHERE },
    EISDIR: { shortage: 'path', words: 'it is a folder, not a file', hint: ELSEWHERE },
    EEXIST: { shortage: 'path', words: 'it exists already', hint: ELSEWHERE },
    ENOTEMPTY: { shortage: 'path', words: 'the folder is not empty', hint: ELSEWHERE },
    ENAMETOOLONG: {
      shortage: 'path',
      words: 'the name is too long',
      hint: 'Choose a shorter path: most file systems allow names of up to 255 bytes.',
    },
    ELOOP: { shortage: 'path', words: 'its symbolic links form a loop', hint: ELSEWHERE },
    ENXIO: { shortage: 'path', words: 'it is not a regular file', hint: ELSEWHERE },
    EACCES: { shortage: 'path', words: 'permission is denied', hint: PERMISSIONS },
    EPERM: { shortage: 'path', words: 'the system does not permit it', hint: PERMISSIONS },
    EROFS: { shortage: 'path', words: 'the file system is read-only', hint: PERMISSIONS },
    EXDEV: { shortage: 'path', words: 'it spans two file systems', hint: ELSEWHERE },
    ENOTSUP: {
      shortage: 'path',
      words: 'the file system cannot do it',
      hint: 'Choose a folder on a local file system.',
    },
    EINVAL: {
      shortage: 'path',
      words: 'the file system cannot do it',
      hint: 'Choose a folder on a local file system.',
    },
    ENOSPC: { shortage: 'full', words: 'the disk is full', hint: SPACE },
    EDQUOT: { shortage: 'full', words: 'the disk quota is exceeded', hint: SPACE },
    EFBIG: {
      shortage: 'full',
      words: 'the file would exceed the size limit',
      hint: 'Raise the limit (ulimit -f), or choose a file system that allows larger files.',
    },
    ENOMEM: {
      shortage: 'memory',
      words: 'out of memory',
      hint: 'Close other programs, or give this one more memory; `fedbiot plan` shows how much a job needs.',
    },
    EMFILE: {
      shortage: 'passing',
      words: 'too many files are open in this process',
      hint: 'Raise the limit (ulimit -n), or that of the container runtime.',
    },
    ENFILE: {
      shortage: 'passing',
      words: 'too many files are open on this machine',
      hint: 'Close other programs, or raise the limit of the system (sysctl fs.file-max).',
    },
    EAGAIN: {
      shortage: 'passing',
      words: 'no more processes can be started',
      hint: 'Close other programs, or raise the limit (ulimit -u), or the container’s process limit.',
    },
    EBUSY: { shortage: 'passing', words: 'it is in use', hint: 'Wait until it is free, and run again.' },
    ETXTBSY: { shortage: 'passing', words: 'it is in use', hint: 'Wait until it is free, and run again.' },
    EIO: { shortage: 'passing', words: 'the disk failed to read or write', hint: DISK },
    EREMOTEIO: { shortage: 'passing', words: 'the disk failed to read or write', hint: DISK },
    ESTALE: { shortage: 'passing', words: 'the network file system no longer has it', hint: DISK },
    ENODEV: { shortage: 'passing', words: 'the disk is gone', hint: DISK },
    ENOTCONN: { shortage: 'passing', words: 'the network file system does not answer', hint: DISK },
  }),
);

/**
 * Node's messages when it cannot allocate a Buffer, a string or an array. A full heap ends the process without an
 * error.
 */
const MEMORY_CODES = new Set(['ERR_MEMORY_ALLOCATION_FAILED', 'ERR_WORKER_OUT_OF_MEMORY']);
const MEMORY_WORDS = /^Array buffer allocation failed$/;

function refusalOf(error: unknown): (Refusal & { readonly code: string }) | null {
  if (!(error instanceof Error)) return null;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const isMemory = MEMORY_CODES.has(code) || (error instanceof RangeError && MEMORY_WORDS.test(error.message));
  const known = isMemory ? 'ENOMEM' : code;
  const refusal = REFUSALS.get(known);
  // Node's own errors can have these codes as well; only system calls count.
  if (refusal === undefined || (!isMemory && !('syscall' in error))) return null;
  return { ...refusal, code: known };
}

/** The reason why a system call failed, in words that end a sentence; the message of any other error. */
export function reasonOf(error: unknown): string {
  const refusal = refusalOf(error);
  if (refusal !== null) return `${refusal.words} (${refusal.code})`;
  return errorMessage(error);
}

/**
 * The error for an attempt that failed for any reason.
 * @param doing such as `cannot read job.yaml`
 * @param hint what to do, unless the machine failed
 */
export function unable(doing: string, cause: unknown, hint?: string): UserError {
  const failure = systemFailure(cause, doing, hint);
  return failure instanceof UserError
    ? failure
    : new UserError(`${doing}: ${reasonOf(cause)}`, { cause, ...(hint === undefined ? {} : { hint }) });
}

/**
 * Converts a failed system call into an error that the user can act on; returns any other error unchanged.
 * @param doing what was attempted, such as `cannot write runs/job`; by default derived from the call
 * @param hint what to do if the path is at fault and the caller knows better
 */
export function systemFailure(error: unknown, doing?: string, hint?: string): unknown {
  if (error instanceof UserError) return error;
  const refusal = refusalOf(error);
  if (refusal === null) return error;
  const { shortage } = refusal;
  return new SystemFailure(shortage, `${doing ?? callOf(error)}: ${reasonOf(error)}`, {
    hint: (shortage === 'path' ? hint : undefined) ?? refusal.hint,
    cause: error,
  });
}

const VERBS: ReadonlyMap<string, string> = new Map([
  ['scandir', 'list'],
  ['stat', 'read'],
  ['lstat', 'read'],
  ['mkdir', 'create the folder'],
  ['rmdir', 'remove the folder'],
  ['unlink', 'remove'],
  ['rm', 'remove'],
  ['fsync', 'write'],
  ['ftruncate', 'truncate'],
]);

/** What a call attempted whose failure nobody handled. */
function callOf(error: unknown): string {
  if (!(error instanceof Error) || !('syscall' in error)) return 'the program cannot continue';
  const path = 'path' in error && typeof error.path === 'string' ? error.path : 'a file';
  const [call = ''] = String(error.syscall).split(' ');
  return `cannot ${VERBS.get(call) ?? call} ${path}`;
}
