import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * The user's folder for data that can be made again: $XDG_CACHE_HOME/fedbiot, or ~/.cache/fedbiot; null for a user
 * without a home. It may not exist.
 */
export function userCache(): string | null {
  const base = process.env['XDG_CACHE_HOME'] ?? '';
  if (isAbsolute(base)) return join(base, 'fedbiot');
  try {
    return join(homedir(), '.cache', 'fedbiot');
  } catch {
    return null;
  }
}
