import { createHmac } from 'node:crypto';
import { JOB_REGISTRY } from '../../worker/cluster/redis-keys.ts';

/**
 * The key under which a Redis remembers the jobs of one installation: another may use the same Redis, and its jobs are
 * unknown here. The namespaces belong to it, as an operator does not know the jobs of those that it stopped watching.
 * @param secretKey the installation's own
 * @param namespaces those that it watches; null: all
 */
export function jobRegistry(secretKey: string, namespaces: readonly string[] | null): string {
  const scope = JSON.stringify(namespaces?.toSorted() ?? null);
  return `${JOB_REGISTRY}:${createHmac('sha256', secretKey).update(`registry of jobs in ${scope}`).digest('hex')}`;
}
