import { readFileSync } from 'node:fs';
import { UserError } from '../../crds/facts/user-error.ts';
import { readRedisUrl } from '../../worker/transport/redis/redis-url.ts';

/** The variable that holds the URL of Redis itself. */
export const REDIS_URL = 'FEDBIOT_REDIS_URL';

/** The smallest key: as many characters as a SHA-256 has bytes. */
export const KEY_LENGTH = 32;

/**
 * The URL of Redis from a file or a variable. The file has precedence, as a mounted Secret can be rotated. No message
 * contains the URL, as it holds a password.
 */
export function redisUrlFrom(file: string | undefined, variable: string | undefined): string | null {
  if (file === undefined) return variable === undefined || variable === '' ? null : checkedUrl(variable, REDIS_URL);
  let text: string;
  try {
    text = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new UserError(`cannot read the URL of Redis from ${file}`, {
      hint: 'Check --redis-url-file and that the Secret is mounted.',
      cause: error,
    });
  }
  return checkedUrl(text, file);
}

function checkedUrl(text: string, source: string): string {
  try {
    readRedisUrl(text);
    return text;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${source}: ${error.message}`, error.hint === undefined ? {} : { hint: error.hint });
  }
}

/** PEM of the CA certificate of Redis. An invalid one is reported when Redis is contacted. */
export function redisCaFrom(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`cannot read the CA certificate of Redis from ${file}`, {
      hint: 'Check --redis-ca-file and that the Secret is mounted.',
      cause: error,
    });
  }
}

/** The key from which jobs' tokens and passwords are derived. */
export function secretKeyFrom(file: string): string {
  const hint = `Check --secret-key-file and that the Secret is mounted; it must hold ${KEY_LENGTH} random characters or more.`;
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new UserError(`cannot read the key for jobs' secrets from ${file}`, { hint, cause: error });
  }
  if (text.length < KEY_LENGTH)
    throw new UserError(`the key for jobs' secrets in ${file} has ${text.length} characters`, { hint });
  return text;
}
