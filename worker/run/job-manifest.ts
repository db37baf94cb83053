import { existsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseManifest } from '../../crds/parse.ts';
import type { FedBiOTJob } from '../../crds/types.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { readText } from '../files/read.ts';

/**
 * A job from its manifest.
 * @throws UserError when the file cannot be read, or with all that is wrong in it
 */
export function readJob(path: string): FedBiOTJob {
  return parseManifest(
    readText(path, 'a manifest', { maxBytes: MAX_MANIFEST_BYTES, hint: 'Give the manifest of a FedBiOTJob.' }),
    path,
  );
}

/** Four bytes for each character that a manifest can have. */
const MAX_MANIFEST_BYTES = 4 << 20;

/** Within a run's folder: the job as it was run, a manifest that can itself be run. */
const JOB_FILE = 'job.json';

/**
 * Where the relative paths of a manifest start: for `fedbiot run` at its folder, in a pod at the volumes that are
 * mounted there.
 */
export interface UriFolders {
  /** Of model.uri and adapter.initFrom. */
  readonly model: string;
  /** Of data.public.uri and data.eval.uri. */
  readonly publicData: string;
  /** Of data.train.uri. */
  readonly clientData: string;
}

/**
 * Writes the job into its run's folder with every default filled in and every path absolute, so that it stands for
 * itself.
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

/** @throws UserError when `root` is not the folder of a run */
export function readJobRecord(root: string): FedBiOTJob {
  const path = join(root, JOB_FILE);
  if (existsSync(path)) return readJob(path);
  throw new UserError(`${root} is not the folder of a run: it has no ${JOB_FILE}`, {
    hint: 'Give the folder that `fedbiot run --out` wrote.',
  });
}

/** A relative path in a manifest counts from the manifest's folder; a URI with a scheme stays as it is. */
export function absoluteUri(uri: string, baseDirectory: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(uri) ? uri : resolve(baseDirectory, uri);
}
