import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Cluster, Redis } from 'ioredis';
import { answerOf, unusable } from './answers.ts';
import { tryNeeds } from './needs.ts';
import type { RedisNeeds } from './needs.ts';
import { DEAF, patient, retrying } from './patience.ts';
import type { RedisListener } from './patience.ts';
import { isClusterNode, mastersOf, openCluster, openSingle, reconnectDelay } from './redis-cluster.ts';
import type { ConnectionOptions, RedisConnection } from './redis-cluster.ts';
import { hostAndPort, readRedisUrl } from './redis-url.ts';
import type { RedisEndpoint } from './redis-url.ts';
import { RedisUnreachable, RedisUnusable } from './unusable.ts';

export interface RedisAddress {
  /** redis:// or rediss://, with its credentials. Never printed. */
  readonly url: string;
  /** PEM file of the CA certificate that signed Redis's certificate; by default the system's CAs. */
  readonly caFile?: string;
  /** Whether the URL names a node of a Redis Cluster, as `checkRedis` reports. */
  readonly isCluster?: boolean;
  /** How long commands wait for a Redis that answers but refuses them; by default ten minutes. */
  readonly patienceMs?: number;
}

/** Properties of a usable Redis. */
export interface CheckedRedis {
  readonly isCluster: boolean;
  /** Warnings for the user. */
  readonly warnings: readonly string[];
}

const CONNECT_TIMEOUT_MS = 10_000;
const MAX_RECONNECT_DELAY_MS = 2_000;

interface Settings {
  readonly maxRetriesPerRequest: null;
  readonly connectTimeout: number;
  readonly lazyConnect: boolean;
  readonly tls?: { readonly ca?: string };
}

function settingsOf({ isTls }: RedisEndpoint, caFile: string | undefined): Settings {
  // BullMQ requires commands to wait for Redis rather than fail; unanswered commands are sent again.
  const settings: Settings = { maxRetriesPerRequest: null, connectTimeout: CONNECT_TIMEOUT_MS, lazyConnect: true };
  return isTls && caFile !== undefined ? { ...settings, tls: { ca: readCa(caFile) } } : settings;
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new RedisUnusable(`cannot read the CA certificate of Redis, ${path}`, {
      hint: 'Check spec.redis.tls.caSecret.',
      cause,
    });
  }
}

/**
 * A connection that reconnects without a limit and keeps commands until then. Commands that Redis refuses temporarily
 * are retried and reported to `listener`; other refusals throw RedisUnusable.
 */
export function openRedis(
  { url, caFile, isCluster = false, patienceMs }: RedisAddress,
  listener: RedisListener = DEAF,
): RedisConnection {
  const endpoint = readRedisUrl(url);
  const options = {
    ...settingsOf(endpoint, caFile),
    retryStrategy: reconnectDelay(50, MAX_RECONNECT_DELAY_MS),
  };
  const redis = isCluster ? openCluster(endpoint, options) : openSingle(endpoint, options);
  const host = hostAndPort(endpoint);
  reportConnection(redis, host, listener);
  return patient(redis, { host, listener, ...(patienceMs === undefined ? {} : { patienceMs }) });
}

/**
 * Reports a refused connection like a refused command: it is a race which of the two a revoked user meets first. The
 * connection reconnects by itself.
 */
function reportConnection(redis: RedisConnection, host: string, listener: RedisListener): void {
  let isRefused = false;
  redis.on('error', (error) => {
    const answer = answerOf(error);
    if (answer === null) return listener.failed(error);
    isRefused = true;
    listener.refused(retrying(unusable(answer, host, error)));
  });
  redis.on('ready', () => {
    if (isRefused) listener.taken();
    isRefused = false;
  });
}

/**
 * Checks Redis, or each master of a Redis Cluster, once. Errors say what the user can do.
 * @param needs what to try; without it, only the version and settings of Redis are checked
 * @throws RedisUnusable; RedisUnreachable if a retry may help
 */
export async function checkRedis(address: RedisAddress, needs?: RedisNeeds): Promise<CheckedRedis> {
  const endpoint = readRedisUrl(address.url);
  const place = hostAndPort(endpoint);
  const options = { ...settingsOf(endpoint, address.caFile), retryStrategy: () => null, maxRetriesPerRequest: 0 };
  const redis = openSingle(endpoint, options);
  const failures: Error[] = [];
  redis.on('error', (error) => failures.push(error));
  try {
    await redis.connect();
    await selects(redis, endpoint, place);
    const info = await redis.info();
    if (!isClusterNode(info)) {
      const warnings = judge(info);
      if (needs !== undefined) await tryNeeds(redis, needs);
      return { isCluster: false, warnings };
    }
    if (!/^cluster_state:ok\r?$/m.test(await redis.cluster('INFO'))) {
      throw incomplete(place);
    }
    const infos = await infoOfMasters(endpoint, options, failures, needs);
    return { isCluster: true, warnings: [...new Set(infos.flatMap(judge))] };
  } catch (error) {
    if (error instanceof RedisUnusable) throw error;
    throw explain([...failures, ...(error instanceof Error ? [error] : [])], place);
  } finally {
    redis.disconnect();
  }
}

/** ioredis does not report a failed SELECT: it would use database 0. */
async function selects(redis: Redis, { database }: RedisEndpoint, place: string): Promise<void> {
  if (database === 0) return;
  try {
    await redis.select(database);
  } catch (cause) {
    throw new RedisUnusable(`Redis at ${place} has no database ${database} for this user`, {
      hint: 'Correct the database number at the end of the URL, or remove it.',
      cause,
    });
  }
}

async function infoOfMasters(
  endpoint: RedisEndpoint,
  options: ConnectionOptions,
  failures: Error[],
  needs: RedisNeeds | undefined,
): Promise<string[]> {
  const cluster = openCluster(endpoint, options);
  cluster.on('node error', (error: Error, node: string) =>
    failures.push(new Error(`its node ${node}: ${error.message}`, { cause: error })),
  );
  try {
    await ready(cluster, hostAndPort(endpoint));
    const infos = await Promise.all(mastersOf(cluster).map((node) => node.info()));
    if (needs !== undefined) await tryNeeds(cluster, needs);
    return infos;
  } finally {
    cluster.disconnect();
  }
}

/** Rejects if the cluster is not complete: ioredis then ends the connection without an error. */
async function ready(cluster: Cluster, place: string): Promise<void> {
  const ended = once(cluster, 'end').then(() => {
    throw incomplete(place);
  });
  await Promise.race([once(cluster, 'ready'), ended]);
}

const incomplete = (place: string): RedisUnreachable =>
  new RedisUnreachable(`the Redis Cluster at ${place} is not complete`, {
    hint: 'See what CLUSTER INFO and CLUSTER NODES say there.',
  });

function explain(errors: readonly Error[], host: string): RedisUnusable {
  for (const error of errors) {
    const answer = answerOf(error) ?? answerOf(error.cause);
    if (answer !== null) return unusable(answer, host, error);
  }
  const text = errors.map(({ message }) => message).join('; ');
  const options = { cause: errors[0] };
  if (/certificate|self.signed|SSL|TLS/i.test(text)) {
    const hint = 'Give the CA certificate in spec.redis.tls.caSecret, and use rediss:// only if Redis uses TLS.';
    return new RedisUnusable(`no trusted TLS connection to Redis at ${host}: ${text}`, { ...options, hint });
  }
  const hint = 'Check host and port in the URL, that Redis runs, and that network policies let this pod reach it.';
  return new RedisUnreachable(`Redis at ${host} cannot be reached: ${text}`, { ...options, hint });
}

/** Checks the version and the memory settings in INFO. @returns warnings */
function judge(info: string): string[] {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  const version = field('redis_version');
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 6 || (major === 6 && minor < 2)) {
    throw new RedisUnusable(`Redis has version ${version || 'unknown'}, the oldest supported version is 6.2`, {
      hint: 'Use a newer Redis.',
    });
  }
  const policy = field('maxmemory_policy');
  if (policy === 'noeviction') return [];
  const says = `Redis has maxmemory-policy ${policy || 'unknown'}`;
  const hint = 'Set maxmemory-policy noeviction.';
  if (field('maxmemory') !== '0')
    throw new RedisUnusable(`${says}: it would evict tasks and tensors when memory runs out`, { hint });
  return [`${says}; this is harmless while maxmemory is 0. ${hint}`];
}
