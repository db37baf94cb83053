import type { FedBiOTJobSpec, FedBiOTJobStatus } from '../../crds/types.ts';

/** RFC 3339. */
export type Timestamp = string;

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** A FedBiOTJob as the API server stores it: validated, with every default. */
export interface JobObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly generation?: number;
    readonly resourceVersion?: string;
    readonly creationTimestamp?: Timestamp;
    readonly deletionTimestamp?: Timestamp;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec: FedBiOTJobSpec;
  readonly status?: FedBiOTJobStatus;
}

/**
 * A FedBiOTJob that cannot be read, or breaks the rules. The operator does nothing for it but report that in its
 * status.
 */
export interface UnreadableJob {
  readonly metadata: JobObject['metadata'];
  readonly problem: string;
  /** Whether the operator manages it (spec.managedBy). */
  readonly isOurs: boolean;
  /** The fields of its status that are needed to update it. */
  readonly status: Pick<FedBiOTJobStatus, 'phase' | 'conditions'>;
}
