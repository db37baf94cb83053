import { randomBytes } from 'node:crypto';
import type { OperatorConfig } from './config/config.ts';
import { namespaceOf } from './plan/service.ts';
import type { OperatorRedis, PlanSettings } from './plan/settings.ts';
import { readRedisUrl } from '../worker/transport/redis/redis-url.ts';

type UsedConfig = Pick<
  OperatorConfig,
  | 'workerImage'
  | 'redisUrl'
  | 'redisCa'
  | 'logLevel'
  | 'secretKey'
  | 'podAnnotations'
  | 'allowSharedRedisCredentials'
  | 'hubEndpoint'
  | 'hubProxy'
  | 'hubNoProxy'
>;

/** The part of the operator's configuration that the objects of jobs depend on. */
export function settingsFromConfig(config: UsedConfig): PlanSettings {
  const {
    workerImage,
    redisUrl,
    redisCa,
    logLevel,
    secretKey,
    podAnnotations,
    allowSharedRedisCredentials,
    hubEndpoint,
    hubProxy,
    hubNoProxy,
  } = config;
  return {
    image: workerImage,
    redis: redisUrl === null ? null : redisAt(redisUrl, redisCa),
    logLevel,
    podAnnotations,
    hub: {
      ...(hubEndpoint === null ? {} : { HF_ENDPOINT: hubEndpoint }),
      ...(hubProxy === null ? {} : { HTTPS_PROXY: hubProxy, HTTP_PROXY: hubProxy }),
      ...(hubNoProxy === null ? {} : { NO_PROXY: hubNoProxy }),
    },
    secretKey: secretKey ?? randomBytes(32).toString('base64url'),
    allowSharedRedisCredentials,
  };
}

function redisAt(url: string, ca: string | null): OperatorRedis {
  const { host, port } = readRedisUrl(url);
  return { url, ca, port, namespace: namespaceOf(host) };
}
