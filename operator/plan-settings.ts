import { randomBytes } from 'node:crypto';
import type { OperatorConfig } from './config.ts';
import type { OperatorRedis, PlanSettings } from './plan/settings.ts';
import { readRedisUrl } from '../worker/transport/redis/redis-url.ts';

type PlanConfig = Pick<OperatorConfig, 'workerImage' | 'redisUrl' | 'redisCa' | 'logLevel' | 'secretKey' | 'podAnnotations' | 'allowSharedRedisCredentials'>;

/** What of the operator's own configuration shows in the objects of jobs. */
export function planSettings({ workerImage, redisUrl, redisCa, logLevel, secretKey, podAnnotations, allowSharedRedisCredentials }: PlanConfig): PlanSettings {
  return {
    image: workerImage,
    redis: redisUrl === null ? null : redisAt(redisUrl, redisCa),
    logLevel,
    podAnnotations,
    secretKey: secretKey ?? randomBytes(32).toString('base64url'),
    allowSharedRedisCredentials,
  };
}

function redisAt(url: string, ca: string | null): OperatorRedis {
  const { host, port } = readRedisUrl(url);
  // SERVICE.NAMESPACE.svc, with or without the cluster's domain.
  const namespace = /^[^.]+\.([^.]+)\.svc(\.|$)/.exec(host)?.[1] ?? null;
  return { url, ca, port, namespace };
}
