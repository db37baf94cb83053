import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  downloadFile,
  getHFHubCachePath,
  getRepoFolderName,
  HubApiError,
  listFiles,
  modelInfo,
} from '@huggingface/hub';
import type { ListFileEntry } from '@huggingface/hub';
import { UserError } from '../../crds/facts/user-error.ts';
import { newSha256 } from '../files/sha256.ts';
import { asked, isOffline, unreachable, withHub } from './access.ts';
import type { HubAccess } from './access.ts';

export interface DownloadProgress {
  readonly file: string;
  /** Bytes downloaded so far, and in total, of all files. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface DownloadOptions {
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
}

const COMMIT = /^[0-9a-f]{40}$/;
const LOCAL_HINT = 'On a machine without network access, copy the model there and set model.uri to its directory.';

/**
 * Files of a repository that training and generation need. Pickled and consolidated weights, other formats and
 * sub-folders are not downloaded.
 */
const WANTED = [
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|model\.safetensors\.index)\.json$/,
  /^chat_template\.jinja$/,
  /^model[\w.-]*\.safetensors$/,
];

/**
 * Downloads `hf://org/name@revision` if necessary, and returns the directory. Files are in the Hugging Face cache, in
 * the layout of the Python library (HF_HOME, HF_HUB_CACHE, XDG_CACHE_HOME), so downloads are shared with Python.
 * HF_TOKEN gives access to gated models; HF_ENDPOINT names a mirror, HTTPS_PROXY a proxy. With HF_HUB_OFFLINE, or if
 * the hub cannot be reached, a complete revision in the cache is used.
 * @throws UserError if there is no such model, access is denied, or the model is neither cached nor reachable
 */
export async function downloadModel(uri: string, options: DownloadOptions = {}): Promise<string> {
  const { name, revision } = parseModelUri(uri);
  const storage = join(getHFHubCachePath(), getRepoFolderName({ name, type: 'model' }));
  if (COMMIT.test(revision) || isOffline()) {
    const cached = await cachedSnapshot(storage, revision);
    if (cached !== null) return cached;
  }
  if (isOffline())
    throw new UserError(`${uri} is not in the cache ${storage}, and HF_HUB_OFFLINE is set`, { hint: LOCAL_HINT });
  try {
    return await withHub(async (access) => {
      const hub = { ...access, ...repository(name, options.signal) };
      const { sha: commit } = await modelInfo({ ...hub, name, revision, additionalFields: ['sha'] });
      return downloadSnapshot(hub, revision, commit, storage, options);
    });
  } catch (cause) {
    options.signal?.throwIfAborted();
    if (cause instanceof UserError) throw cause;
    if (cause instanceof HubApiError) refuseFor(cause.statusCode, uri);
    const cached = await cachedSnapshot(storage, revision);
    if (cached !== null) return cached;
    throw unreachable(uri, cause, LOCAL_HINT);
  }
}

/**
 * @throws UserError unless the URI has the form hf://org/name or hf://org/name@revision (revision: branch, tag or
 * commit; main by default)
 */
export function parseModelUri(uri: string): { name: string; revision: string } {
  const match = /^hf:\/\/([\w.-]+\/[\w.-]+)(?:@([\w.-]+(?:\/[\w.-]+)*))?$/.exec(uri);
  const [, name, revision = 'main'] = match ?? [];
  if (name === undefined || `${name}/${revision}`.split('/').some((part) => part === '..' || part === '.')) {
    throw new UserError(`${uri} does not name a model on the Hugging Face hub`, {
      hint: 'The form is hf://org/name or hf://org/name@revision.',
    });
  }
  return { name, revision };
}

type ModelAccess = HubAccess & ReturnType<typeof repository>;

function repository(name: string, signal: AbortSignal | undefined) {
  return {
    repo: { type: 'model' as const, name },
    fetch: (input: Parameters<typeof fetch>[0], init?: RequestInit) =>
      fetch(input, signal === undefined ? init : { ...init, signal }),
  };
}

async function downloadSnapshot(
  hub: ModelAccess,
  revision: string,
  commit: string,
  storage: string,
  { onProgress }: DownloadOptions,
): Promise<string> {
  if (!COMMIT.test(commit)) throw new Error(`the hub returned an invalid commit: ${JSON.stringify(commit)}`);
  const snapshot = join(storage, 'snapshots', commit);
  await mkdir(snapshot, { recursive: true });
  const files: ListFileEntry[] = [];
  for await (const file of listFiles({ ...hub, revision: commit })) {
    if (file.type === 'file' && WANTED.some((pattern) => pattern.test(file.path))) files.push(file);
  }
  const totalBytes = files.reduce((sum, file) => sum + file.size, 0);
  let doneBytes = 0;
  for (const file of files) {
    const path = join(snapshot, file.path);
    const report = (bytes: number) => onProgress?.({ file: file.path, doneBytes: doneBytes + bytes, totalBytes });
    if ((await stat(path).catch(() => null))?.size !== file.size)
      await downloadTo(path, file, { ...hub, revision: commit }, report);
    report(file.size);
    doneBytes += file.size;
  }
  // Written last, so that a branch found in the cache has a complete snapshot.
  if (revision !== commit) {
    const ref = join(storage, 'refs', revision);
    await mkdir(dirname(ref), { recursive: true });
    await writeFile(ref, commit);
  }
  return snapshot;
}

/** Downloads to a temporary name and checks size and hash, so that a file in the cache is complete. */
async function downloadTo(
  path: string,
  file: ListFileEntry,
  from: ModelAccess & { revision: string },
  report: (bytes: number) => void,
): Promise<void> {
  const content = await downloadFile({ ...from, path: file.path });
  if (content === null) throw new Error(`${file.path} is listed but cannot be downloaded`);
  const partial = `${path}.${randomUUID()}.incomplete`;
  const hash = newSha256();
  let bytes = 0;
  try {
    await pipeline(
      Readable.fromWeb(content.stream()),
      async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          bytes += chunk.byteLength;
          report(bytes);
          yield chunk;
        }
      },
      createWriteStream(partial),
    );
    if (bytes !== file.size) throw new Error(`${file.path} ended after ${bytes} of ${file.size} bytes`);
    if (file.lfs !== undefined && hash.digest('hex') !== file.lfs.oid)
      throw new Error(`${file.path} is corrupted: its SHA-256 does not match`);
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true });
    throw cause;
  }
}

/** The directory of a cached revision; null if it is not cached, or lacks its config, tokenizer or weights. */
async function cachedSnapshot(storage: string, revision: string): Promise<string | null> {
  const commit = COMMIT.test(revision)
    ? revision
    : (await readFile(join(storage, 'refs', revision), 'utf8').catch(() => '')).trim();
  if (!COMMIT.test(commit)) return null;
  const snapshot = join(storage, 'snapshots', commit);
  const has = (name: string) =>
    stat(join(snapshot, name)).then(
      (found) => found.isFile(),
      () => false,
    );
  if (!(await has('config.json')) || !(await has('tokenizer.json'))) return null;
  if (await has('model.safetensors')) return snapshot;
  const index = await readFile(join(snapshot, 'model.safetensors.index.json'), 'utf8').catch(() => '');
  const shards = new Set([...index.matchAll(/"([\w.-]+\.safetensors)"/g)].map(([, shard]) => shard ?? ''));
  const present = await Promise.all([...shards].map(has));
  return present.length > 0 && present.every(Boolean) ? snapshot : null;
}

/** Responses of the hub itself. Any other status is treated like a network error. */
function refuseFor(status: number, uri: string): void {
  if (status === 401 || status === 403) {
    throw new UserError(`the hub denies access to ${uri} (status ${status})`, {
      hint: `There is no such model, or it is gated: accept its licence on its page and set HF_TOKEN to a token that may read it. ${asked()}`,
    });
  }
  if (status === 404)
    throw new UserError(`the hub has no ${uri}`, {
      hint: `Check the name and the revision (branch, tag or commit). ${asked()}`,
    });
}
