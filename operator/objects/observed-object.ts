import type { Timestamp, OwnerReference } from './job-object.ts';

export interface ObservedMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: Timestamp;
  readonly deletionTimestamp?: Timestamp;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

/** An existing object of any kind. */
export interface ObservedObject {
  readonly kind?: string;
  readonly metadata: ObservedMetadata;
}

export interface ObservedCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: Timestamp;
  readonly observedGeneration?: number;
}

/** The condition of that type, if its status is True. */
export const conditionOf = (
  { status }: { readonly status?: { readonly conditions?: readonly ObservedCondition[] } },
  type: string,
): ObservedCondition | null =>
  status?.conditions?.find((condition) => condition.type === type && condition.status === 'True') ?? null;
