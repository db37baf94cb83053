import type { OperatorConfig } from './config.ts';
import type { PlanSettings } from './plan/settings.ts';

const REDIS_PORT = 6379;

/** What of the operator's own configuration shows in the objects of jobs. */
export function planSettings({ workerImage, redisUrl, logLevel }: Pick<OperatorConfig, 'workerImage' | 'redisUrl' | 'logLevel'>): PlanSettings {
  return {
    image: workerImage,
    redis: redisUrl === null ? null : { url: redisUrl, port: Number(new URL(redisUrl).port) || REDIS_PORT },
    logLevel,
  };
}
