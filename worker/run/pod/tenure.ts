import { FolderLost } from '../../files/folder-lock.ts';
import type { FolderLock } from '../../files/folder-lock.ts';
import { Fenced } from '../../transport/redis/fence.ts';
import type { Fence } from '../../transport/redis/fence.ts';

const CHECK_MS = 1_000;

/**
 * How long a server pod waits after it has taken over the folder from a pod that may still be alive. By then, that pod
 * has noticed and exited.
 */
export const HANDOVER_MS = 3 * CHECK_MS;

/**
 * Checks periodically whether this pod is still the job's server, because a pod without network may have been replaced.
 * The fence is checked in Redis; the folder's lock also works when Redis is unreachable.
 */
export function watchTenure(
  fence: Pick<Fence, 'check'>,
  lock: Pick<FolderLock, 'check'>,
): { readonly lost: Promise<never>; stop(): void } {
  const { promise: lost, reject } = Promise.withResolvers<never>();
  // Prevents an unhandled rejection while nobody awaits `lost` yet.
  lost.catch(() => undefined);
  let checking = false;
  const timer = setInterval(() => {
    try {
      lock.check();
    } catch (error) {
      if (error instanceof FolderLost) reject(error);
    }
    if (checking) return;
    checking = true;
    const answered = () => (checking = false);
    fence.check().then(answered, (error: unknown) => {
      answered();
      if (error instanceof Fenced) reject(error);
    });
  }, CHECK_MS);
  return { lost, stop: () => clearInterval(timer) };
}
