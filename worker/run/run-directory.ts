import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { UserError } from '../../crds/facts/user-error.ts';
import { systemFailure } from '../files/system-failure.ts';
import { kindOf } from '../files/kind.ts';
import { readHead, withInput } from '../files/read.ts';
import { sha256 } from '../files/sha256.ts';
import { makeFolder } from '../files/durable-files.ts';
import { LOCK_FILE, lockFolder } from '../files/folder-lock.ts';
import type { FolderLock } from '../files/folder-lock.ts';
import type { RunOrigin } from '../federation/snapshot.ts';

const Digests = Type.Record(Type.String(), Type.String());

/** manifest.json: what a run is computed from. */
const RunManifest = Type.Object({
  job: Type.String(),
  /** SHA-256 (hex) by name: `spec`, `model`, `data.train`, … All must be equal for a run to be gone on with. */
  sha256: Digests,
  /** The day that chat templates wrote into the data; absent where none asks for it. */
  date: Type.Optional(Type.String()),
  /** Of fedbiot, Node, onnxruntime-node, …: told, not compared. */
  versions: Digests,
});
export type RunManifest = Static<typeof RunManifest>;

/** What a file system of its own has at its root: a volume may be given as it was made. */
const VOLUME_FOLDER = 'lost+found';

/** The folder a run writes to, held by this process until `release`. */
export interface RunDirectory extends RunPaths, RunOrigin, FolderLock {
  /** What was found damaged in it. */
  readonly warnings: readonly string[];
}

interface RunPaths {
  readonly root: string;
  readonly adapter: string;
  readonly metrics: string;
  readonly report: string;
  readonly reportPage: string;
  readonly manifest: string;
  readonly job: string;
  readonly checkpoints: string;
  /** Results received in the round that is under way. */
  readonly received: string;
  readonly cache: string;
}

/**
 * Makes or opens the folder `root` for a run of `manifest` and locks it.
 * @param options.resume go on with the run whose checkpoints lie there. Where there are none, the run begins
 * @param options.takeOver take the folder even from a process that may be alive
 * @throws UserError when the folder is in use, holds something else or another job's run, holds checkpoints and
 *   `resume` is not asked for, or cannot be written; or when `resume` is asked for and there is no such folder
 */
export function openRunDirectory(
  root: string,
  manifest: RunManifest,
  { resume, takeOver = false }: { resume: boolean; takeOver?: boolean },
): RunDirectory {
  if (resume && !existsSync(root)) {
    throw new UserError(`there is nothing to resume: ${root} does not exist`, {
      hint: 'Check --out, or leave --resume out to begin.',
    });
  }
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory() === false) {
    throw new UserError(`${root} is a file, not a folder`, { hint: 'Choose another --out folder.' });
  }
  const directory = { ...pathsIn(root), ...originOf(manifest) };
  try {
    makeFolder(root);
    const lock = lockFolder(root, { takeOver });
    let warnings: string[];
    try {
      warnings = checkContents(directory, manifest, resume);
      // First of all: a folder that holds anything else, and no manifest, is not a run's.
      writeManifest(directory.manifest, manifest);
      mkdirSync(directory.checkpoints, { recursive: true });
      mkdirSync(directory.cache, { recursive: true });
    } catch (error) {
      lock.release();
      throw error;
    }
    return { ...directory, ...lock, warnings };
  } catch (error) {
    throw systemFailure(error, `cannot write ${root}`);
  }
}

function pathsIn(root: string): RunPaths {
  const checkpoints = join(root, 'checkpoints');
  return {
    root,
    adapter: join(root, 'adapter'),
    metrics: join(root, 'metrics.jsonl'),
    report: join(root, 'report.json'),
    reportPage: join(root, 'report.html'),
    manifest: join(root, 'manifest.json'),
    job: join(root, 'job.json'),
    checkpoints,
    received: join(checkpoints, 'received'),
    cache: join(root, 'cache'),
  };
}

function originOf({ sha256: digests, date }: RunManifest): RunOrigin {
  const inputs = Object.entries(date === undefined ? digests : { ...digests, date }).sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  return { identity: sha256(Buffer.from(JSON.stringify(inputs))), date: date ?? null };
}

/** @returns what was found damaged, and is made anew */
function checkContents(paths: RunPaths & RunOrigin, wanted: RunManifest, resume: boolean): string[] {
  const { root, manifest: path, checkpoints, identity } = paths;
  const folder = [path, paths.job, paths.metrics, paths.report, paths.reportPage].find((file) =>
    statSync(file, { throwIfNoEntry: false })?.isDirectory(),
  );
  if (folder !== undefined)
    throw new UserError(`${folder} is a folder, where a run writes a file`, {
      hint: 'Move it away, or choose another --out folder.',
    });
  const found = manifestOf(path);
  const known = identitiesIn(checkpoints);
  const changed = found === null ? [] : changes(found, wanted);
  const warnings: string[] = [];
  if (found === null || changed.length > 0) {
    const state = existsSync(path) ? damageOf(path) : 'missing';
    if (known.includes(identity)) {
      // Checkpoints are protected by their sums, and the run resumes from them.
      warnings.push(`${path} was ${state} and is written anew; its checkpoints are of this very job`);
    } else if (found !== null) {
      const job = found.job === wanted.job ? 'an earlier run of this job' : `a run of job ${found.job}`;
      throw new UserError(`${root} holds ${job}, computed from another ${changed.join(', ')}`, {
        hint: 'Choose another --out folder, or restore what the run began with to resume it.',
      });
    } else if (known.length > 0) {
      throw new UserError(
        `${root} holds checkpoints of another job, or of this one with another model or other data; its manifest.json, which would say, is ${state}`,
        {
          hint: 'Choose another --out folder.',
        },
      );
    } else if (state !== 'missing') {
      throw notAManifest(path);
    } else {
      const stranger = readdirSync(root).find((name) => !name.startsWith(LOCK_FILE) && name !== VOLUME_FOLDER);
      if (stranger === undefined) return [];
      throw new UserError(`${root} is not the folder of a run: it holds ${stranger}, and no manifest.json`, {
        hint: 'Choose a new or empty --out folder.',
      });
    }
  }
  if (!resume && existsSync(checkpoints) && readdirSync(checkpoints).some(isCheckpoint)) {
    throw new UserError(`${root} holds checkpoints of this job`, {
      hint: 'Go on with it by --resume, or choose another --out folder to begin again.',
    });
  }
  return warnings;
}

/** Names of what two runs are computed from, where they differ. */
function changes(found: RunManifest, wanted: RunManifest): string[] {
  const names = [...new Set([...Object.keys(found.sha256), ...Object.keys(wanted.sha256)])].sort();
  const changed = names.filter((name) => found.sha256[name] !== wanted.sha256[name]);
  return found.date === wanted.date ? changed : [...changed, 'date'];
}

const isCheckpoint = (name: string) => name.startsWith('round-');

/** The identities of the runs that the checkpoints in a folder belong to. */
function identitiesIn(checkpoints: string): string[] {
  if (!existsSync(checkpoints)) return [];
  return readdirSync(checkpoints)
    .filter(isCheckpoint)
    .flatMap((name) => {
      const state = readJson(join(checkpoints, name, 'state.json'));
      return typeof state === 'object' && state !== null && 'identity' in state && typeof state.identity === 'string'
        ? [state.identity]
        : [];
    });
}

/** A run's manifest.json; null where it is missing or damaged. */
export function manifestOf(path: string): RunManifest | null {
  const value = readJson(path);
  return Value.Check(RunManifest, value) ? value : null;
}

/** @throws UserError when `path` is not a run's manifest.json */
export function readRunManifest(path: string): RunManifest {
  const manifest = manifestOf(path);
  if (manifest === null) throw notAManifest(path);
  return manifest;
}

/** Why a manifest.json that is there is none, in words that follow “is”. */
function damageOf(path: string): string {
  try {
    const head = withInput(path, (fd, bytes) => readHead(fd, bytes, path));
    return kindOf(head, 'text')?.what ?? 'damaged';
  } catch {
    return 'damaged';
  }
}

function notAManifest(path: string): UserError {
  const damage = damageOf(path);
  return new UserError(`${path} is ${damage === 'damaged' ? '' : `${damage}, `}not the manifest of a run`, {
    hint: 'Choose a new or empty --out folder; if it is a run whose file was damaged, --resume writes it again.',
  });
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** A killed run leaves the whole manifest or none. */
function writeManifest(path: string, manifest: RunManifest): void {
  const unfinished = join(dirname(path), `${LOCK_FILE}.manifest`);
  writeFileSync(unfinished, `${JSON.stringify(manifest, null, 2)}\n`);
  renameSync(unfinished, path);
}
