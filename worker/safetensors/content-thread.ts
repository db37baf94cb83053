import { parentPort, workerData } from 'node:worker_threads';
import { UserError } from '../../crds/facts/user-error.ts';
import { SystemFailure } from '../files/system-failure.ts';
import { readContent } from './content.ts';
import type { ContentReply, ContentRequest } from './read-in-thread.ts';

// A thread that reads one file; see read-in-thread.ts.
const { path, state }: ContentRequest = workerData;
parentPort?.postMessage(await replyOf(readContent(path, state)));

async function replyOf(reading: ReturnType<typeof readContent>): Promise<ContentReply> {
  try {
    return { content: await reading };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { message, hint } = error;
    return { message, hint, shortage: error instanceof SystemFailure ? error.shortage : null };
  }
}
