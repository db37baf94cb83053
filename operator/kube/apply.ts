import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { MANAGER } from '../objects/labels.ts';
import type { PlannedObject } from '../objects/planned.ts';
import type { ApiClient } from './api-client.ts';
import { objectPath, resourceOf } from '../objects/resources.ts';

/** JSON is YAML. */
export const APPLY_PATCH = 'application/apply-patch+yaml';
const JSON_PATCH = 'application/json-patch+json';

const ManagedFields = Type.Object({
  manager: Type.Optional(Type.String()),
  operation: Type.Optional(Type.String()),
  subresource: Type.Optional(Type.String()),
  fieldsV1: Type.Optional(Type.Unknown()),
});
const Applied = Type.Object({
  metadata: Type.Object({ resourceVersion: Type.String(), managedFields: Type.Optional(Type.Array(ManagedFields)) }),
});

/**
 * Server-side apply: sets the planned fields, removes those that were applied earlier and are no longer planned, and
 * keeps the fields of other managers. Returns the API server's answer.
 */
export async function apply(client: ApiClient, object: PlannedObject): Promise<unknown> {
  const path = objectPath(resourceOf(object), object.metadata.namespace, object.metadata.name);
  const send = () =>
    client.json('PATCH', path, {
      query: { fieldManager: MANAGER, force: true },
      contentType: APPLY_PATCH,
      body: object,
    });
  const answer = await send();
  const body = Value.Check(Applied, answer) ? handOver(answer.metadata) : null;
  if (body === null) return answer;
  await client.json('PATCH', path, { query: { fieldManager: MANAGER }, contentType: JSON_PATCH, body });
  return await send();
}

type Metadata = Static<typeof Applied>['metadata'];

/**
 * Fields that were set at creation belong to the operation Update of our manager, and apply does not remove them. This
 * JSON patch transfers them to our operation Apply; null: there are none.
 */
function handOver({ resourceVersion, managedFields = [] }: Metadata): object[] | null {
  const own = managedFields.filter(({ manager, subresource }) => manager === MANAGER && subresource === undefined);
  const [made, applied] = ['Update', 'Apply'].map((operation) => own.find((each) => each.operation === operation));
  if (made === undefined || applied === undefined) return null;
  const value = managedFields
    .filter((each) => each !== made)
    .map((each) => (each === applied ? { ...each, fieldsV1: made.fieldsV1 } : each));
  return [
    { op: 'replace', path: '/metadata/managedFields', value },
    // Only if the object has not changed since.
    { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion },
  ];
}
