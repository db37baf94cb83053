import { existsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseManifest } from '../../crds/parse.ts';
import type { FedBiOTJob } from '../../crds/types.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { readText } from '../files/read.ts';

/**
 * Reads a job from its manifest.
 * @param options.forCluster refuse also what the operator would refuse
 * @throws UserError if the file cannot be read, or with all problems of the manifest
 */
export function readJob(path: string, options: { readonly forCluster?: boolean } = {}): FedBiOTJob {
  return parseManifest(
    readText(path, 'a manifest', { maxBytes: MAX_MANIFEST_BYTES, hint: 'Give the manifest of a FedBiOTJob.' }),
    path,
    options,
  );
}

/** Four bytes for each character that a manifest may have. */
const MAX_MANIFEST_BYTES = 4 << 20;

/** In a run's folder: the job as it was run, as a manifest that can be run again. */
const JOB_FILE = 'job.json';

/**
 * The folders against which relative paths of a manifest are resolved: for `fedbiot run` the manifest's folder, in a
 * pod the mounted volumes.
 */
export interface UriFolders {
  /** For model.uri and adapter.initFrom. */
  readonly model: string;
  /** For data.public.uri and data.eval.uri. */
  readonly publicData: string;
  /** For data.train.uri. */
  readonly clientData: string;
}

/**
 * Writes the job into its run's folder, with all defaults filled in and all paths absolute, so that it is
 * self-contained.
 */
export function writeJobRecord(root: string, job: FedBiOTJob, folders: UriFolders): void {
  const { model, data, adapter } = job.spec;
  const located = <T extends { uri: string }>(source: T, folder: string): T => ({
    ...source,
    uri: absoluteUri(source.uri, folder),
  });
  const spec = {
    ...job.spec,
    model: located(model, folders.model),
    adapter:
      adapter.initFrom === undefined ? adapter : { ...adapter, initFrom: resolve(folders.model, adapter.initFrom) },
    data: {
      ...data,
      train: located(data.train, folders.clientData),
      ...(data.public && { public: located(data.public, folders.publicData) }),
      ...(data.eval && { eval: located(data.eval, folders.publicData) }),
    },
  };
  writeFileSync(join(root, JOB_FILE), `${JSON.stringify({ ...job, spec }, null, 2)}\n`);
}

/** @throws UserError if `root` is not the folder of a run */
export function readJobRecord(root: string): FedBiOTJob {
  const path = join(root, JOB_FILE);
  if (existsSync(path)) return readJob(path);
  throw new UserError(`${root} is not the folder of a run: it has no ${JOB_FILE}`, {
    hint: 'Give a folder written by `fedbiot run --out`.',
  });
}

/** Resolves a relative path against `baseDirectory`; returns a URI with a scheme unchanged. */
export function absoluteUri(uri: string, baseDirectory: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(uri) ? uri : resolve(baseDirectory, uri);
}
