import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

/** Counts the SHA-256 digests that this process starts until `stop`. */
export function countHashes(): { count(): number; stop(): void } {
  const { createHash } = crypto;
  let begun = 0;
  crypto.createHash = (algorithm, ...options) => {
    if (algorithm === 'sha256') begun++;
    return createHash(algorithm, ...options);
  };
  syncBuiltinESMExports();
  return {
    count: () => begun,
    stop: () => {
      crypto.createHash = createHash;
      syncBuiltinESMExports();
    },
  };
}
