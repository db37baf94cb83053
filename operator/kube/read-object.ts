import Type from 'typebox';
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import Value from 'typebox/value';
import { tooDeep } from '../../crds/nesting.ts';
import { isRecord } from '../../crds/json-schema/node.ts';
import type { Resource } from '../objects/resources.ts';

/**
 * The fields of objects that are kept. All others, managed fields above all, are dropped, as the caches hold every
 * object.
 */

const text = Type.String();
const textOrNone = Type.Optional(text);
const words = Type.Record(text, text);
const condition = Type.Object({
  type: text,
  status: text,
  reason: textOrNone,
  message: textOrNone,
  lastTransitionTime: textOrNone,
});

export const Metadata = Type.Object({
  name: text,
  namespace: text,
  uid: text,
  resourceVersion: text,
  generation: Type.Optional(Type.Integer()),
  creationTimestamp: textOrNone,
  deletionTimestamp: textOrNone,
  labels: Type.Optional(words),
  ownerReferences: Type.Optional(
    Type.Array(
      Type.Object({
        apiVersion: text,
        kind: text,
        name: text,
        uid: text,
        controller: Type.Optional(Type.Boolean()),
        blockOwnerDeletion: Type.Optional(Type.Boolean()),
      }),
    ),
  ),
});

export type Metadata = Static<typeof Metadata>;

/** `namespace/name`. */
export const keyOf = ({ namespace, name }: Pick<Metadata, 'namespace' | 'name'>): string => `${namespace}/${name}`;

const header = { apiVersion: text, kind: text, metadata: Metadata };

/** An object that is compared with the plan as a whole. */
export const WholeObject = Type.Object({
  ...header,
  spec: Type.Optional(Type.Object({ suspend: Type.Optional(Type.Boolean()) }, { additionalProperties: true })),
  data: Type.Optional(words),
  type: textOrNone,
  immutable: Type.Optional(Type.Boolean()),
});
export type WholeObject = Static<typeof WholeObject>;

export const BatchJob = Type.Object({
  ...header,
  spec: Type.Optional(
    Type.Object({ suspend: Type.Optional(Type.Boolean()), parallelism: Type.Optional(Type.Integer()) }),
  ),
  status: Type.Optional(
    Type.Object({
      active: Type.Optional(Type.Number()),
      ready: Type.Optional(Type.Number()),
      failed: Type.Optional(Type.Number()),
      succeeded: Type.Optional(Type.Number()),
      startTime: textOrNone,
      conditions: Type.Optional(Type.Array(condition)),
    }),
  ),
});
export type BatchJob = Static<typeof BatchJob>;

const podSetUpdate = Type.Object({
  name: text,
  labels: Type.Optional(words),
  annotations: Type.Optional(words),
  nodeSelector: Type.Optional(words),
  tolerations: Type.Optional(Type.Array(Type.Record(text, Type.Unknown()))),
});

/** Kueue's request for quota. Its pod templates, which never change, are left out. */
export const Workload = Type.Object({
  ...header,
  spec: Type.Optional(
    Type.Object({
      queueName: textOrNone,
      active: Type.Optional(Type.Boolean()),
      priorityClassRef: Type.Optional(Type.Object({ group: text, kind: text, name: text })),
    }),
  ),
  status: Type.Optional(
    Type.Object({
      conditions: Type.Optional(
        Type.Array(Type.Object({ ...condition.properties, observedGeneration: Type.Optional(Type.Integer()) })),
      ),
      admission: Type.Optional(
        Type.Object({
          clusterQueue: text,
          podSetAssignments: Type.Array(
            Type.Object({ name: text, flavors: Type.Optional(words), count: Type.Optional(Type.Integer()) }),
          ),
        }),
      ),
      admissionChecks: Type.Optional(
        Type.Array(
          Type.Object({
            name: text,
            state: text,
            message: textOrNone,
            podSetUpdates: Type.Optional(Type.Array(podSetUpdate)),
          }),
        ),
      ),
    }),
  ),
});
export type Workload = Static<typeof Workload>;

const containerStatuses = Type.Optional(
  Type.Array(
    Type.Object({
      name: text,
      state: Type.Optional(
        Type.Object({
          waiting: Type.Optional(Type.Object({ reason: textOrNone, message: textOrNone })),
          running: Type.Optional(Type.Object({ startedAt: textOrNone })),
          terminated: Type.Optional(
            Type.Object({ exitCode: Type.Number(), reason: textOrNone, message: textOrNone, finishedAt: textOrNone }),
          ),
        }),
      ),
    }),
  ),
);

export const Pod = Type.Object({
  ...header,
  spec: Type.Optional(Type.Object({ nodeName: textOrNone })),
  status: Type.Optional(
    Type.Object({
      phase: textOrNone,
      reason: textOrNone,
      message: textOrNone,
      conditions: Type.Optional(Type.Array(condition)),
      containerStatuses,
      initContainerStatuses: containerStatuses,
    }),
  ),
});
export type Pod = Static<typeof Pod>;

/**
 * Limit of an object's characters as JSON. The operator creates no object as large, but another user could create
 * thousands of large ones with its labels.
 */
const MAX_CHARACTERS = 128 * 1024;

/** Characters of a value as JSON; 0 if it is nested too deep to serialise, which other checks report. */
export function lengthOf(value: unknown): number {
  try {
    return JSON.stringify(value)?.length ?? 0;
  } catch {
    return 0;
  }
}

/** Extracts the kept fields from an object of the API server; null: it is not of this kind, or is too large. */
export type Read<T> = (value: unknown) => T | null;

export function reader<S extends TSchema>({ apiVersion, kind }: Resource, schema: S): Read<Static<S>> {
  const validator = Compile(schema);
  return (value) => {
    if (!isRecord(value)) return null;
    // Items of a list have no apiVersion and kind, except custom resources.
    const kept = keptOf(schema, { ...value, apiVersion, kind });
    return validator.Check(kept) && lengthOf(kept) <= MAX_CHARACTERS ? kept : null;
  };
}

/** The fields that the schema names, without nulls; undefined if the value is nested too deep for recursive code. */
export function keptOf(schema: TSchema, value: unknown): unknown {
  const kept = Value.Clean(schema, value);
  return tooDeep(kept) === null ? withoutNulls(kept) : undefined;
}

/** Kubernetes writes null for some absent fields, for example times. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, field]) => (field === null ? [] : [[name, withoutNulls(field)]])),
  );
}

const metadataCheck = Compile(Metadata);

export function readMetadata(value: unknown): Metadata | null {
  const metadata = isRecord(value) && isRecord(value['metadata']) ? keptOf(Metadata, { ...value['metadata'] }) : null;
  return metadataCheck.Check(metadata) ? metadata : null;
}
