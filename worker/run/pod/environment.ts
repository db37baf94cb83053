import pino from 'pino';
import { ENV } from '../../cluster/pod.ts';
import { UserError } from '../../../crds/facts/user-error.ts';
import type { RedisAddress } from '../../transport/redis/connect.ts';
import { passwordsIn } from '../../transport/redis/redis-url.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** The settings in the environment variables of a worker pod. `redis` and `token` are secrets. */
export interface PodEnvironment {
  readonly redis: RedisAddress;
  readonly token: string;
  /** Part of the names of the job's keys in Redis. */
  readonly uid: string;
  readonly namespace: string;
  readonly pod: string;
  readonly logLevel: string;
}

const DEFAULT_LOG_LEVEL = 'info';

/** @throws UserError that names the missing or invalid variable, without the value of a secret */
export function readEnvironment(variables: Variables): PodEnvironment {
  const uid = required(variables, ENV.uid);
  if (!/^[\w-]{1,64}$/.test(uid)) throw wrong(ENV.uid, `${JSON.stringify(uid)} is not the uid of an object`);
  const logLevel = given(variables, ENV.logLevel) ?? DEFAULT_LOG_LEVEL;
  const levels = Object.keys(pino.levels.values);
  if (!levels.includes(logLevel))
    throw wrong(ENV.logLevel, `${JSON.stringify(logLevel)} is not one of ${levels.join(', ')}`);
  const caFile = given(variables, ENV.redisCaFile);
  return {
    redis: { url: required(variables, ENV.redisUrl), ...(caFile === undefined ? {} : { caFile }) },
    token: required(variables, ENV.token),
    uid,
    namespace: required(variables, ENV.namespace),
    pod: required(variables, ENV.pod),
    logLevel,
  };
}

/**
 * The URL of the server pod, for a client.
 * @throws UserError if it is missing or invalid
 */
export function readServerUrl(variables: Variables): string {
  const url = required(variables, ENV.serverUrl);
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw wrong(ENV.serverUrl, `${JSON.stringify(url)} is not an http:// URL`);
  return url;
}

/** The secrets that no log line and no message may show. */
export function secretsOf({ redis, token }: PodEnvironment): string[] {
  return [redis.url, token, ...passwordsIn(redis.url)];
}

/** An empty variable counts as unset. */
const given = (variables: Variables, name: string): string | undefined => variables[name] || undefined;

function required(variables: Variables, name: string): string {
  const value = given(variables, name);
  if (value === undefined) throw wrong(name, 'it is not set');
  return value;
}

function wrong(name: string, what: string): UserError {
  return new UserError(`environment variable ${name}: ${what}`, {
    hint: 'The operator sets it for `fedbiot server` and `fedbiot client`, which run in its pods. To run a job on this machine, use `fedbiot run`.',
  });
}
