/**
 * Names of the objects made for a job. A job's name has 52 characters at most; a Job, a Service and a label's value
 * have 63.
 */
export interface ObjectNames {
  readonly configMap: string;
  readonly credentials: string;
  readonly server: string;
  readonly clients: string;
  readonly service: string;
  readonly output: string;
}

export function namesOf(job: string): ObjectNames {
  return {
    configMap: `${job}-job`,
    credentials: `${job}-credentials`,
    server: `${job}-server`,
    clients: `${job}-clients`,
    // A job's name may begin with a digit, a Service's may not.
    service: /^[a-z]/.test(job) ? `${job}-server` : `fbj-${job}-server`,
    output: `${job}-output`,
  };
}

/** Keys of the Secret with a job's credentials. */
export const CREDENTIAL = {
  token: 'token',
  redisUrl: { server: 'redis-url-server', client: 'redis-url-client' },
  /** For both roles, in Secrets of jobs that began under an operator that created no users. */
  oneRedisUrl: 'redis-url',
  redisCa: 'redis-ca.crt',
} as const;
