import type { OwnerReference } from './job-object.ts';

export interface PlannedMetadata {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly OwnerReference[];
}

/** An object to apply. It contains only the fields that the operator sets. */
export interface PlannedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: PlannedMetadata;
  readonly spec?: object;
  readonly data?: Readonly<Record<string, string>>;
  readonly type?: string;
  readonly immutable?: boolean;
}

/** Identifies an object. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  /** If given, an object with another uid is left unchanged. */
  readonly uid?: string;
}

/** Identifies an object as it was seen. */
export interface ObservedReference extends ObjectReference {
  readonly resourceVersion: string;
}
