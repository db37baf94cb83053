import Type from 'typebox';
import Value from 'typebox/value';
import type { JobObject } from '../objects/job-object.ts';
import type { ObservedOwned } from '../objects/observed.ts';
import type { OwnedKey } from '../objects/owned-objects.ts';
import { objectPath, RESOURCE } from '../objects/resources.ts';
import type { Resource } from '../objects/resources.ts';
import { assignedToStart, isSamePriority, priorityClassOf, queueOf } from '../objects/workload.ts';
import type { ObservedKueue, PodChanges, PodSetAssignment } from '../objects/workload.ts';
import type { ApiClient } from './api-client.ts';
import { CODE, isApiError } from './api-error.ts';
import { keptOf } from './read-object.ts';

type Owned = Readonly<Record<OwnedKey, ObservedOwned | null>>;

/** What a job's next reconcile needs to know of Kueue. Objects without a namespace are read only then: they are few. */
export async function observeKueue(
  client: Pick<ApiClient, 'json'>,
  job: JobObject,
  owned: Owned,
  isServed: boolean,
): Promise<ObservedKueue> {
  const { workload } = owned;
  const asksPriority = isServed && queueOf(job) !== undefined && (workload === null || !isSamePriority(job, workload));
  return {
    isServed,
    flavors: await flavorsOf(client, assignedToStart(owned)),
    priority: asksPriority ? await priorityOf(client, job) : null,
  };
}

const words = Type.Optional(Type.Record(Type.String(), Type.String()));
const Flavor = Type.Object({
  spec: Type.Optional(
    Type.Object({
      nodeLabels: words,
      tolerations: Type.Optional(Type.Array(Type.Record(Type.String(), Type.Unknown()))),
    }),
  ),
});
const PriorityClass = Type.Object({ value: Type.Integer() });

async function flavorsOf(
  client: Pick<ApiClient, 'json'>,
  assigned: readonly PodSetAssignment[],
): Promise<ReadonlyMap<string, PodChanges>> {
  const found = new Map<string, PodChanges>();
  for (const name of new Set(assigned.flatMap(({ flavors = {} }) => Object.values(flavors)))) {
    const flavor = keptOf(Flavor, await read(client, RESOURCE.resourceFlavor, name));
    if (!Value.Check(Flavor, flavor)) continue;
    const { nodeLabels = {}, tolerations = [] } = flavor.spec ?? {};
    found.set(name, { nodeSelector: nodeLabels, tolerations });
  }
  return found;
}

/** null: there is no such class. */
async function priorityOf(client: Pick<ApiClient, 'json'>, job: JobObject): Promise<number | null> {
  const asked = priorityClassOf(job);
  if (asked === null) return null;
  const resource = asked.kind === RESOURCE.priorityClass.kind ? RESOURCE.priorityClass : RESOURCE.workloadPriorityClass;
  const found = await read(client, resource, asked.name);
  return Value.Check(PriorityClass, found) ? found.value : null;
}

async function read(client: Pick<ApiClient, 'json'>, resource: Resource, name: string): Promise<unknown> {
  try {
    return await client.json('GET', objectPath(resource, null, name));
  } catch (error) {
    if (isApiError(error, CODE.notFound)) return null;
    throw error;
  }
}
