import type { Job } from 'bullmq';

/** Removes an entry from its queue, unless it is no longer this process's. */
export async function finish(job: Job, token: string): Promise<void> {
  try {
    await job.moveToCompleted(null, token, false);
  } catch (error) {
    // BullMQ's scripts answer with negative codes when the lock or the entry is gone.
    if (!(error instanceof Error && 'code' in error && typeof error.code === 'number' && error.code < 0)) throw error;
  }
}
