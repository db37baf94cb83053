import { isIPv6 } from 'node:net';
import { RedisUnusable } from './unusable.ts';

/** Where a Redis is and who asks. Credentials are as Redis knows them, without percent-encoding. */
export interface RedisEndpoint {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Whether it speaks TLS: rediss://. */
  readonly isTls: boolean;
  readonly username?: string;
  readonly password?: string;
  readonly database: number;
}

/** Where a Redis listens whose URL, or whose very existence, says nothing else. */
export const REDIS_PORT = 6379;

const HINT =
  'Write redis://user:password@host:6379, or rediss:// for TLS, with nothing before or after it; in user and password percent-encode special characters: ' +
  '% as %25, @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, a space as %20.';

/**
 * Reads redis://[[user]:password@]host[:port][/database]; what else a URL may hold is refused, as a client would take
 * it for options of its own. The end of a line that a file leaves behind the URL is no part of it.
 * @throws RedisUnusable, without a word of the text, which holds a password
 */
export function readRedisUrl(text: string): RedisEndpoint {
  const url = text.replace(/\r?\n$/, '');
  if (/[\s\p{Cc}]/u.test(url)) throw wrong('has white space or a control character in it');
  const [, scheme, rest] = /^(rediss?):\/\/(.*)$/i.exec(url) ?? [];
  if (scheme === undefined || rest === undefined) throw wrong('does not begin with redis:// or rediss://');
  const at = rest.lastIndexOf('@');
  return {
    isTls: scheme.toLowerCase() === 'rediss',
    ...readUser(rest.slice(0, Math.max(at, 0))),
    ...readPlace(rest.slice(at + 1)),
  };
}

/** The URL that `readRedisUrl` reads so. */
export function writeRedisUrl({ isTls, username = '', password, database, ...place }: RedisEndpoint): string {
  const user = password === undefined ? '' : `${encodeURIComponent(username)}:${encodeURIComponent(password)}@`;
  return `${isTls ? 'rediss' : 'redis'}://${user}${hostAndPort(place)}${database === 0 ? '' : `/${database}`}`;
}

/** `host:port`, with an IPv6 address in brackets. */
export const hostAndPort = ({ host, port }: Pick<RedisEndpoint, 'host' | 'port'>): string =>
  `${isIPv6(host) ? `[${host}]` : host}:${port}`;

/** All that may be a password in a text that should be the URL of a Redis, whether it is one or not. */
export function passwordsIn(text: string): string[] {
  const [, password = ''] = /^[^:]*:(?:\/\/[^:]*:)?(.*)@/s.exec(text) ?? [];
  return [password, decoded(password) ?? ''].filter((each) => each !== '');
}

function readUser(text: string): Pick<RedisEndpoint, 'username' | 'password'> {
  if (/[/?#]/.test(text)) throw wrong('has a /, ? or # in user or password that is not percent-encoded');
  const colon = text.indexOf(':');
  if (colon === -1 && text !== '') throw wrong('has a user without a password: a password stands after a colon');
  const [username, password] = [decoded(text.slice(0, Math.max(colon, 0))), decoded(text.slice(colon + 1))];
  if (username === null || password === null)
    throw wrong('has a % in user or password that does not begin a percent-encoded character');
  // A line's end within them would let whoever writes the URL speak to other things than Redis.
  if (/\p{Cc}/u.test(username + password)) throw wrong('has a control character in user or password');
  return { ...(username === '' ? {} : { username }), ...(username === '' && password === '' ? {} : { password }) };
}

function readPlace(text: string): Pick<RedisEndpoint, 'host' | 'port' | 'database'> {
  if (/[?#]/.test(text)) throw wrong('has options after ? or #, which are not supported');
  const [, address = '', name = '', port = String(REDIS_PORT), database = ''] =
    /^(?:\[([^\]]*)\]|([^:/]*))(?::([^/]*))?(?:\/(.*))?$/.exec(text) ?? [];
  const isHost = address === '' ? /^[\w.-]{1,253}$/.test(name) : isIPv6(address) && !address.includes('%');
  if (!isHost) throw wrong('names no host, or one with characters that no name or address has');
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535)
    throw wrong('has a port that is not a number from 1 to 65535');
  if (!/^\d{0,4}$/.test(database))
    throw wrong('has something after host and port that is not the number of a database');
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
