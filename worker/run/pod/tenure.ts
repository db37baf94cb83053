import { FolderLost } from '../../files/folder-lock.ts';
import type { FolderLock } from '../../files/folder-lock.ts';
import { Fenced } from '../../transport/redis/fence.ts';
import type { Fence } from '../../transport/redis/fence.ts';

const LOOK_MS = 1_000;

/**
 * How long a server pod waits after it took the folder from one that may live: until then that one has looked, and
 * ended.
 */
export const HANDOVER_MS = 3 * LOOK_MS;

/**
 * Looks again and again whether this is still the job's server: a pod that was cut off may have been replaced without
 * knowing it. The fence tells through Redis, the folder's lock even where Redis cannot be reached.
 */
export function watchTenure(
  fence: Pick<Fence, 'check'>,
  lock: Pick<FolderLock, 'check'>,
): { readonly lost: Promise<never>; stop(): void } {
  const { promise: lost, reject } = Promise.withResolvers<never>();
  // Whoever waits hears of it; nobody may be waiting yet.
  lost.catch(() => undefined);
  let asking = false;
  const timer = setInterval(() => {
    try {
      lock.check();
    } catch (error) {
      if (error instanceof FolderLost) reject(error);
    }
    if (asking) return;
    asking = true;
    const answered = () => (asking = false);
    fence.check().then(answered, (error: unknown) => {
      answered();
      if (error instanceof Fenced) reject(error);
    });
  }, LOOK_MS);
  return { lost, stop: () => clearInterval(timer) };
}
