import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { MANAGER } from '../objects/labels.ts';
import type { PlannedObject } from '../objects/planned.ts';
import type { ApiClient } from './api-client.ts';
import { objectPath, resourceOf } from '../objects/resources.ts';

/** JSON is YAML. */
const APPLY_PATCH = 'application/apply-patch+yaml';
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
 * Server-side apply: what is planned is there afterwards, what was applied before and is not planned any more is not,
 * and what others have set stays. What the API server answers.
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
 * What was set when the object was made counts as by another than him who applies, from whom apply takes nothing away.
 * A JSON patch that makes them one; null: they are.
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
    // Of this very version.
    { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion },
  ];
}
