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

/** manifest.json: the inputs of a run. */
const RunManifest = Type.Object({
  job: Type.String(),
  /** SHA-256 (hex) by name: `spec`, `model`, `data.train`, … A run can only be resumed if all are equal. */
  sha256: Digests,
  /** The date that chat templates wrote into the data; absent if no template uses it. */
  date: Type.Optional(Type.String()),
  /** Versions of fedbiot, Node, onnxruntime-node, …: recorded, not compared. */
  versions: Digests,
});
export type RunManifest = Static<typeof RunManifest>;

/** Folder at the root of an ext4 file system: an empty volume may contain it. */
const VOLUME_FOLDER = 'lost+found';
const CACHE_FOLDER = 'cache';

/** The folder a run writes to, locked by this process until `release`. */
export interface RunDirectory extends RunPaths, RunOrigin, FolderLock {
  /** Damage that was found in it. */
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
  /** Results received in the current round. */
  readonly received: string;
  readonly cache: string;
}

/**
 * Creates or opens the folder `root` for a run of `manifest`, and locks it.
 * @param options.resume continue from the checkpoints in the folder; without any, a new run starts
 * @param options.takeOver take the lock even from a process that may be alive
 * @throws UserError if the folder is in use, contains something else or the run of another job, or cannot be written;
 * if it contains checkpoints and `resume` is false; or if `resume` is true and the folder does not exist
 */
export function openRunDirectory(
  root: string,
  manifest: RunManifest,
  { resume, takeOver = false }: { resume: boolean; takeOver?: boolean },
): RunDirectory {
  if (resume && !existsSync(root)) {
    throw new UserError(`there is nothing to resume: ${root} does not exist`, {
      hint: 'Check --out, or omit --resume to start a new run.',
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
      // The manifest comes first: a folder with other files and no manifest is not recognised as a run's.
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
    metrics: runMetrics(root),
    report: join(root, 'report.json'),
    reportPage: join(root, 'report.html'),
    manifest: join(root, 'manifest.json'),
    job: join(root, 'job.json'),
    checkpoints,
    received: join(checkpoints, 'received'),
    cache: runCache(root),
  };
}

/** The file of a run's events. */
export function runMetrics(root: string): string {
  return join(root, 'metrics.jsonl');
}

/** The folder of a run's data that can be made again. A server's pod writes to it before it opens the run's folder. */
export function runCache(root: string): string {
  return join(root, CACHE_FOLDER);
}

function originOf({ sha256: digests, date }: RunManifest): RunOrigin {
  const inputs = Object.entries(date === undefined ? digests : { ...digests, date }).sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  return { identity: sha256(Buffer.from(JSON.stringify(inputs))), date: date ?? null };
}

/** @returns warnings about damage that is repaired */
function checkContents(paths: RunPaths & RunOrigin, wanted: RunManifest, resume: boolean): string[] {
  const { root, manifest: path, checkpoints, identity } = paths;
  const folder = [path, paths.job, paths.metrics, paths.report, paths.reportPage].find((file) =>
    statSync(file, { throwIfNoEntry: false })?.isDirectory(),
  );
  if (folder !== undefined)
    throw new UserError(`${folder} is a folder, but a run writes a file there`, {
      hint: 'Move it away, or choose another --out folder.',
    });
  const found = manifestOf(path);
  const known = identitiesIn(checkpoints);
  const changed = found === null ? [] : changes(found, wanted);
  const warnings: string[] = [];
  if (found === null || changed.length > 0) {
    const state = existsSync(path) ? damageOf(path) : 'missing';
    if (known.includes(identity)) {
      // Checkpoints have checksums, and the run resumes from them.
      warnings.push(`${path} was ${state} and is rewritten; its checkpoints belong to this job`);
    } else if (found !== null) {
      const job = found.job === wanted.job ? 'an earlier run of this job' : `a run of job ${found.job}`;
      throw new UserError(`${root} holds ${job}, computed from another ${changed.join(', ')}`, {
        hint: 'Choose another --out folder, or restore the original inputs to resume it.',
      });
    } else if (known.length > 0) {
      throw new UserError(
        `${root} holds checkpoints of another job, or of this job with another model or other data; its manifest.json is ${state}`,
        {
          hint: 'Choose another --out folder.',
        },
      );
    } else if (state !== 'missing') {
      throw notAManifest(path);
    } else {
      const foreign = readdirSync(root).find(
        (name) => !name.startsWith(LOCK_FILE) && name !== VOLUME_FOLDER && name !== CACHE_FOLDER,
      );
      if (foreign === undefined) return [];
      throw new UserError(`${root} is not the folder of a run: it holds ${foreign} and no manifest.json`, {
        hint: 'Choose a new or empty --out folder.',
      });
    }
  }
  if (!resume && existsSync(checkpoints) && readdirSync(checkpoints).some(isCheckpoint)) {
    throw new UserError(`${root} holds checkpoints of this job`, {
      hint: 'Continue with --resume, or choose another --out folder to start again.',
    });
  }
  return warnings;
}

/** Names of the inputs in which two runs differ. */
function changes(found: RunManifest, wanted: RunManifest): string[] {
  const names = [...new Set([...Object.keys(found.sha256), ...Object.keys(wanted.sha256)])].sort();
  const changed = names.filter((name) => found.sha256[name] !== wanted.sha256[name]);
  return found.date === wanted.date ? changed : [...changed, 'date'];
}

const isCheckpoint = (name: string) => name.startsWith('round-');

/** The identities of the runs to which the checkpoints in a folder belong. */
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

/** A run's manifest.json; null if it is missing or damaged. */
export function manifestOf(path: string): RunManifest | null {
  const value = readJson(path);
  return Value.Check(RunManifest, value) ? value : null;
}

/** @throws UserError if `path` is not a run's manifest.json */
export function readRunManifest(path: string): RunManifest {
  const manifest = manifestOf(path);
  if (manifest === null) throw notAManifest(path);
  return manifest;
}

/** Why an existing file is not a manifest, as words that follow “is”. */
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
    hint: 'Choose a new or empty --out folder; if the folder is a run’s and the file was damaged, --resume writes it again.',
  });
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Replaces the file atomically: a killed run leaves a complete manifest or none. */
function writeManifest(path: string, manifest: RunManifest): void {
  const unfinished = join(dirname(path), `${LOCK_FILE}.manifest`);
  writeFileSync(unfinished, `${JSON.stringify(manifest, null, 2)}\n`);
  renameSync(unfinished, path);
}
