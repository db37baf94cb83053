import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { UserError } from '../errors.ts';
import { sha256 } from '../transport/package.ts';
import { diskError } from './durable-files.ts';
import { LOCK_FILE, lockFolder } from './folder-lock.ts';
import type { FolderLock } from './folder-lock.ts';

const Digests = Type.Record(Type.String(), Type.String());

/** manifest.json: what a run is computed from. */
const RunManifest = Type.Object({
  job: Type.String(),
  /** SHA-256 (hex) by name: `spec`, `model`, `data.train`, … All must be equal for a run to be gone on with. */
  sha256: Digests,
  /** Of fedbiot, Node, onnxruntime-node, …: told, not compared. */
  versions: Digests,
});
export type RunManifest = Static<typeof RunManifest>;

/** What a file system of its own has at its root: a volume may be given as it was made. */
const VOLUME_FOLDER = 'lost+found';

/** The folder a run writes to, held by this process until `release`. */
export interface RunDirectory extends RunPaths, FolderLock {}

interface RunPaths {
  readonly root: string;
  readonly adapter: string;
  readonly metrics: string;
  readonly report: string;
  readonly reportPage: string;
  readonly manifest: string;
  readonly checkpoints: string;
  /** Results received in the round that is under way. */
  readonly received: string;
  readonly cache: string;
  /** SHA-256 of the manifest's digests: checkpoints carry it. */
  readonly identity: string;
}

/**
 * Makes or opens the folder `root` for a run of `manifest` and locks it.
 * @param options.resume go on with the run whose checkpoints lie there. Where there are none, the run begins
 * @param options.takeOver take the folder even from a process that may be alive
 * @throws UserError when the folder is in use, holds something else or another job's run, holds checkpoints and `resume` is not
 * asked for, or cannot be written; or when `resume` is asked for and there is no such folder
 */
export function openRunDirectory(root: string, manifest: RunManifest, { resume, takeOver = false }: { resume: boolean; takeOver?: boolean }): RunDirectory {
  if (resume && !existsSync(root)) {
    throw new UserError(`there is nothing to resume: ${root} does not exist`, { hint: 'Check --out, or leave --resume out to begin.' });
  }
  const directory = describe(root, manifest);
  try {
    mkdirSync(root, { recursive: true });
    const lock = lockFolder(root, { takeOver });
    try {
      checkContents(directory, manifest, resume);
      // First of all: a folder that holds anything else, and no manifest, is not a run's.
      writeManifest(directory.manifest, manifest);
      mkdirSync(directory.checkpoints, { recursive: true });
      mkdirSync(directory.cache, { recursive: true });
    } catch (error) {
      lock.release();
      throw error;
    }
    return { ...directory, ...lock };
  } catch (error) {
    throw diskError(root, error);
  }
}

function describe(root: string, { sha256: digests }: RunManifest): RunPaths {
  const checkpoints = join(root, 'checkpoints');
  return {
    root,
    adapter: join(root, 'adapter'),
    metrics: join(root, 'metrics.jsonl'),
    report: join(root, 'report.json'),
    reportPage: join(root, 'report.html'),
    manifest: join(root, 'manifest.json'),
    checkpoints,
    received: join(checkpoints, 'received'),
    cache: join(root, 'cache'),
    identity: sha256(Buffer.from(JSON.stringify(Object.entries(digests).sort(([a], [b]) => (a < b ? -1 : 1))))),
  };
}

function checkContents({ root, manifest: path, checkpoints }: RunPaths, wanted: RunManifest, resume: boolean): void {
  if (!existsSync(path)) {
    const stranger = readdirSync(root).find((name) => !name.startsWith(LOCK_FILE) && name !== VOLUME_FOLDER);
    if (stranger === undefined) return;
    throw new UserError(`${root} is not the folder of a run: it holds ${stranger}, and no manifest.json`, {
      hint: 'Choose a new or empty --out folder.',
    });
  }
  const found = readRunManifest(path);
  const names = [...new Set([...Object.keys(found.sha256), ...Object.keys(wanted.sha256)])].sort();
  const changed = names.filter((name) => found.sha256[name] !== wanted.sha256[name]);
  if (changed.length > 0) {
    const job = found.job === wanted.job ? 'an earlier run of this job' : `a run of job ${found.job}`;
    throw new UserError(`${root} holds ${job}, computed from another ${changed.join(', ')}`, {
      hint: 'Choose another --out folder, or restore what the run began with to resume it.',
    });
  }
  if (!resume && existsSync(checkpoints) && readdirSync(checkpoints).some((name) => name.startsWith('round-'))) {
    throw new UserError(`${root} holds checkpoints of this job`, {
      hint: 'Go on with it by --resume, or choose another --out folder to begin again.',
    });
  }
}

/** @throws UserError when `path` is not a run's manifest.json */
export function readRunManifest(path: string): RunManifest {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    value = undefined;
  }
  if (Value.Check(RunManifest, value)) return value;
  throw new UserError(`${path} is not the manifest of a run`, { hint: 'Choose a new or empty --out folder.' });
}

/** A killed run leaves the whole manifest or none. */
function writeManifest(path: string, manifest: RunManifest): void {
  const unfinished = join(dirname(path), `${LOCK_FILE}.manifest`);
  writeFileSync(unfinished, `${JSON.stringify(manifest, null, 2)}\n`);
  renameSync(unfinished, path);
}
