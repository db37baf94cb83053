import type { OperatorConfig } from './config.ts';
import type { OperatorRedis, PlanSettings } from './plan/settings.ts';
import { redisPort } from './redis-url.ts';

/** What of the operator's own configuration shows in the objects of jobs. */
export function planSettings({ workerImage, redisUrl, logLevel }: Pick<OperatorConfig, 'workerImage' | 'redisUrl' | 'logLevel'>): PlanSettings {
  return { image: workerImage, redis: redisUrl === null ? null : redisAt(redisUrl), logLevel };
}

function redisAt(url: string): OperatorRedis {
  const { hostname } = new URL(url);
  // SERVICE.NAMESPACE.svc, with or without the cluster's domain.
  const namespace = /^[^.]+\.([^.]+)\.svc(\.|$)/.exec(hostname)?.[1] ?? null;
  return { url, port: redisPort(url), namespace };
}
