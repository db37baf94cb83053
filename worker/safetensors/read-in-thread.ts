import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { UserError } from '../../crds/facts/user-error.ts';
import type { FileState } from '../files/file-state.ts';
import { SystemFailure } from '../files/system-failure.ts';
import type { Shortage } from '../files/system-failure.ts';
import type { FileContent } from './content.ts';

export interface ContentRequest {
  readonly path: string;
  readonly state: FileState;
}

/** The content, or what made a UserError: threads cannot exchange objects of a class. */
export type ContentReply =
  | { readonly content: FileContent }
  | { readonly message: string; readonly hint: string | undefined; readonly shortage: Shortage | null };

/** A processor hashes about 1 GB/s, so that a few threads read as fast as most disks. */
const MAX_THREADS = 4;

const waiting: (() => void)[] = [];
let free = Math.min(availableParallelism(), MAX_THREADS);

/**
 * `readContent` in a thread of its own, so that files are read side by side and the caller's thread stays free.
 * @throws as `readContent`
 */
export async function readInThread(request: ContentRequest, signal?: AbortSignal): Promise<FileContent> {
  if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
  else free--;
  try {
    signal?.throwIfAborted();
    const reply = await ask(request, signal);
    if ('content' in reply) return reply.content;
    const options = reply.hint === undefined ? {} : { hint: reply.hint };
    throw reply.shortage === null
      ? new UserError(reply.message, options)
      : new SystemFailure(reply.shortage, reply.message, options);
  } finally {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next();
  }
}

async function ask(request: ContentRequest, signal: AbortSignal | undefined): Promise<ContentReply> {
  const thread = new Worker(new URL(`./content-thread${extname(import.meta.filename)}`, import.meta.url), {
    workerData: request,
  });
  let stop = () => {};
  try {
    return await new Promise<ContentReply>((resolve, reject) => {
      stop = () => reject(signal?.reason);
      signal?.addEventListener('abort', stop);
      thread.once('message', resolve);
      thread.once('error', reject);
      thread.once('exit', () => reject(new Error(`the thread that reads ${request.path} gave no result`)));
    });
  } finally {
    signal?.removeEventListener('abort', stop);
    await thread.terminate();
  }
}
