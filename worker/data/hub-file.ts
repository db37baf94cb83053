import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { datasetInfo, downloadFile, getHFHubCachePath, getRepoFolderName, HubApiError } from '@huggingface/hub';
import { UserError } from '../../crds/facts/user-error.ts';
import { asked, isOffline, unreachable, withHub } from '../hub/access.ts';

const FORM = /^hf:\/\/datasets\/([\w.-]+\/[\w.-]+)(?:@([^/@]+))?\/(.+)$/;
const COMMIT_HASH = /^[0-9a-f]{40}$/;
const LOCAL_HINT = 'Without network access, copy the file to this machine and set uri to its path.';

/**
 * The local path of `hf://datasets/org/name[@revision]/path`. The file is in the Hugging Face cache, in the layout of
 * the Python library (HF_HOME, HF_HUB_CACHE), so downloads are shared with Python. The cached file is used for a
 * commit, with HF_HUB_OFFLINE, or if the hub cannot be reached. HF_ENDPOINT names another hub and HTTPS_PROXY a proxy;
 * HF_TOKEN gives access to private data sets. A slash in a revision is written %2F.
 */
export async function hubFile(uri: string): Promise<string> {
  const { name, revision, path } = parse(uri);
  const storage = join(getHFHubCachePath(), getRepoFolderName({ name, type: 'dataset' }));
  const cached = await cachedFile(storage, revision, path);
  if (cached !== null && (isOffline() || COMMIT_HASH.test(revision))) return cached;
  if (isOffline())
    throw new UserError(`${uri} is not in the cache ${storage}, and HF_HUB_OFFLINE is set`, { hint: LOCAL_HINT });

  try {
    return await withHub(async (hub) => {
      const { sha: commit } = await datasetInfo({ ...hub, name, revision, additionalFields: ['sha'] });
      if (!COMMIT_HASH.test(commit)) throw new Error(`the hub returned an invalid commit: ${JSON.stringify(commit)}`);
      const file = join(storage, 'snapshots', commit, path);
      if (!(await isFile(file))) {
        const content = await downloadFile({ ...hub, repo: { type: 'dataset', name }, path, revision: commit });
        if (content === null)
          throw new UserError(`${name} has no file ${path} at ${revision}`, { hint: 'Check the path in uri.' });
        await save(content, file);
      }
      // Written last, so that a branch found in the cache has its file.
      if (revision !== commit) await writeRef(join(storage, 'refs', revision), commit);
      return file;
    });
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    if (cause instanceof HubApiError) throw refusal(uri, cause);
    if (cached !== null) return cached;
    throw unreachable(uri, cause, LOCAL_HINT);
  }
}

function parse(uri: string): { name: string; revision: string; path: string } {
  const [, name = '', written = 'main', path = ''] = FORM.exec(uri) ?? [];
  const revision = written.replaceAll(/%2f/gi, '/');
  // These parts become part of a path in the cache.
  const isInside = `${name}/${revision}/${path}`.split('/').every((part) => !['', '.', '..'].includes(part));
  if (isInside && !uri.includes('\\')) return { name, revision, path };
  throw new UserError(`${uri} does not name a file of a data set`, {
    hint: 'The form is hf://datasets/org/name/path or hf://datasets/org/name@revision/path.',
  });
}

async function cachedFile(storage: string, revision: string, path: string): Promise<string | null> {
  const ref = COMMIT_HASH.test(revision)
    ? revision
    : await readFile(join(storage, 'refs', revision), 'utf8').catch(() => '');
  const commit = ref.trim();
  const file = join(storage, 'snapshots', commit, path);
  return COMMIT_HASH.test(commit) && (await isFile(file)) ? file : null;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** Writes to a temporary name first, so that a file in the cache is complete. */
async function save(content: Blob, file: string): Promise<void> {
  const partial = `${file}.${randomUUID()}.incomplete`;
  await mkdir(dirname(file), { recursive: true });
  try {
    await pipeline(Readable.fromWeb(content.stream()), createWriteStream(partial));
    const { size } = await stat(partial);
    if (size !== content.size) throw new Error(`the file ended after ${size} of ${content.size} bytes`);
    await rename(partial, file);
  } catch (cause) {
    await rm(partial, { force: true });
    throw cause;
  }
}

async function writeRef(ref: string, commit: string): Promise<void> {
  await mkdir(dirname(ref), { recursive: true });
  await writeFile(ref, commit);
}

function refusal(uri: string, { statusCode, message }: HubApiError): UserError {
  if (statusCode === 401 || statusCode === 403) {
    return new UserError(`the hub denies access to ${uri} (status ${statusCode})`, {
      hint: `There is no such data set, or it is gated: accept its terms on its page and set HF_TOKEN to a token that may read it. ${asked()}`,
    });
  }
  if (statusCode === 404)
    return new UserError(`the hub has no ${uri}`, { hint: `Check organisation, name, revision and path. ${asked()}` });
  return unreachable(uri, new Error(message), LOCAL_HINT);
}
