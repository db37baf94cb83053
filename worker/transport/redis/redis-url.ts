import { isIPv6 } from 'node:net';
import { RedisUnusable } from './unusable.ts';

/** Address of a Redis, with credentials. The credentials are not percent-encoded. */
export interface RedisEndpoint {
  /** A host name or an IP address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Whether the connection uses TLS (rediss://). */
  readonly isTls: boolean;
  readonly username?: string;
  readonly password?: string;
  readonly database: number;
}

/** Default port of Redis. */
export const REDIS_PORT = 6379;

const HINT =
  'Write redis://user:password@host:6379, or rediss:// for TLS, with nothing before or after it; percent-encode special characters in user and password: ' +
  '% as %25, @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, a space as %20.';

/**
 * Reads redis://[[user]:password@]host[:port][/database]. Other parts of a URL are refused, as clients would interpret
 * them as options. A line break at the end is ignored, as files have one.
 * @throws RedisUnusable, whose message quotes nothing of the text, as it contains a password
 */
export function readRedisUrl(text: string): RedisEndpoint {
  const url = text.replace(/\r?\n$/, '');
  if (/[\s\p{Cc}]/u.test(url)) throw wrong('contains white space or a control character');
  const [, scheme, rest] = /^(rediss?):\/\/(.*)$/i.exec(url) ?? [];
  if (scheme === undefined || rest === undefined) throw wrong('does not begin with redis:// or rediss://');
  const at = rest.lastIndexOf('@');
  return {
    isTls: scheme.toLowerCase() === 'rediss',
    ...readUser(rest.slice(0, Math.max(at, 0))),
    ...readPlace(rest.slice(at + 1)),
  };
}

/** The URL of an endpoint: the inverse of `readRedisUrl`. */
export function writeRedisUrl({ isTls, username = '', password, database, ...place }: RedisEndpoint): string {
  const user = password === undefined ? '' : `${encodeURIComponent(username)}:${encodeURIComponent(password)}@`;
  return `${isTls ? 'rediss' : 'redis'}://${user}${hostAndPort(place)}${database === 0 ? '' : `/${database}`}`;
}

/** `host:port`, with an IPv6 address in brackets. */
export const hostAndPort = ({ host, port }: Pick<RedisEndpoint, 'host' | 'port'>): string =>
  `${isIPv6(host) ? `[${host}]` : host}:${port}`;

/** Possible passwords in a text that should be the URL of a Redis but may be invalid. */
export function passwordsIn(text: string): string[] {
  const [, password = ''] = /^[^:]*:(?:\/\/[^:]*:)?(.*)@/s.exec(text) ?? [];
  return [password, decoded(password) ?? ''].filter((each) => each !== '');
}

function readUser(text: string): Pick<RedisEndpoint, 'username' | 'password'> {
  if (/[/?#]/.test(text)) throw wrong('has a /, ? or # in the user or password that is not percent-encoded');
  const colon = text.indexOf(':');
  if (colon === -1 && text !== '') throw wrong('has a user without a password: the password follows a colon');
  const [username, password] = [decoded(text.slice(0, Math.max(colon, 0))), decoded(text.slice(colon + 1))];
  if (username === null || password === null)
    throw wrong('has a % in the user or password that does not start a percent-encoded character');
  // A line break in them would let the author of the URL send commands to other services.
  if (/\p{Cc}/u.test(username + password)) throw wrong('has a control character in the user or password');
  return { ...(username === '' ? {} : { username }), ...(username === '' && password === '' ? {} : { password }) };
}

function readPlace(text: string): Pick<RedisEndpoint, 'host' | 'port' | 'database'> {
  if (/[?#]/.test(text)) throw wrong('has options after ? or #, which are not supported');
  const [, address = '', name = '', port = String(REDIS_PORT), database = ''] =
    /^(?:\[([^\]]*)\]|([^:/]*))(?::([^/]*))?(?:\/(.*))?$/.exec(text) ?? [];
  const isHost = address === '' ? /^[\w.-]{1,253}$/.test(name) : isIPv6(address) && !address.includes('%');
  if (!isHost) throw wrong('names no host, or one with invalid characters');
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535)
    throw wrong('has a port that is not a number from 1 to 65535');
  if (!/^\d{0,4}$/.test(database)) throw wrong('has something after host and port that is not a database number');
  return { host: address + name, port: Number(port), database: Number(database) };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

const wrong = (what: string): RedisUnusable => new RedisUnusable(`the URL of Redis ${what}`, { hint: HINT });
