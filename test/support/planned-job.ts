import { validate } from '../../crds/validate.ts';
import { resolvePresets } from '../../crds/presets.ts';
import type { PlanSettings } from '../../operator/plan/settings.ts';
import { redisAccess } from '../../operator/plan/redis-access.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import { eachOwned } from '../../operator/objects/owned-objects.ts';
import type { Observed } from '../../operator/objects/observed.ts';
import type { RedisUsersStanding } from '../../operator/objects/redis-standing.ts';

export const UID = '8b1c2b8e-5a8a-4a37-8d0f-0c2f6f1d9a11';

export const SETTINGS: PlanSettings = {
  image: 'fedbiot:test',
  redis: { url: 'redis://:secret@redis.fedbiot.svc:6379', ca: null, port: 6379, namespace: 'fedbiot' },
  logLevel: 'info',
  podAnnotations: [],
  allowSharedRedisCredentials: false,
  hub: {},
  secretKey: 'a key of the tests, and of nothing else',
};

/** A Redis that allows users to be created, as versions from 7.0 do. */
export const USERS: RedisUsersStanding = { kind: 'ready', readOnlyKeys: true, isOpen: false };

/** How a job's pods connect to the Redis of SETTINGS. */
export const accessOf = (job: JobObject, observed: Observed = NOTHING, settings: PlanSettings = SETTINGS) =>
  redisAccess(job, observed, settings, USERS);

export const NOTHING: Observed = {
  ...eachOwned(() => null),
  pods: [],
  redisPort: null,
  kueue: { isServed: false, flavors: new Map(), priority: null },
};

/** A small job in the form that the operator reads; `spec` replaces sections. */
export function jobObject(
  spec: object = {},
  options: { name?: string; status?: JobObject['status']; labels?: Record<string, string> } = {},
): JobObject {
  const { name = 'tiny', status, labels } = options;
  const result = validate({
    apiVersion: 'fedbiot.io/v1alpha1',
    kind: 'FedBiOTJob',
    metadata: { name, namespace: 'lab' },
    spec: {
      model: { uri: 'model' },
      data: { train: { uri: 'train.jsonl' }, public: { uri: 'public.jsonl' } },
      ...spec,
    },
  });
  if ('problems' in result) throw new Error(JSON.stringify(result.problems));
  const { apiVersion, kind } = result.job;
  return {
    apiVersion,
    kind,
    metadata: { name, namespace: 'lab', uid: UID, generation: 1, ...(labels === undefined ? {} : { labels }) },
    spec: resolvePresets(result.job.spec),
    ...(status === undefined ? {} : { status }),
  };
}
