/** The content of a Lease, named as in coordination.k8s.io/v1, but shorter. */
export interface LeaseRecord {
  /** Identity of the leader; empty: none. */
  readonly holder: string;
  /** Time after a renewal in which no other may lead. */
  readonly durationSeconds: number;
  /** Milliseconds since 1970 by the holder's clock, for display. Candidates use their own clocks. */
  readonly acquiredAt: number;
  readonly renewedAt: number;
  /** How often the lease has changed hands. */
  readonly transitions: number;
}

/** A stored record; `version` identifies its state. */
export interface StoredLease {
  readonly record: LeaseRecord;
  readonly version: string;
}

/** Storage of the lease. Every method rejects with the API server's error. */
export interface LeaseStore {
  /** null: there is none. */
  read(): Promise<StoredLease | null>;
  /** null: another replica has created it. */
  create(record: LeaseRecord): Promise<StoredLease | null>;
  /** Replaces that version; null: it is no longer the newest. */
  replace(version: string, record: LeaseRecord): Promise<StoredLease | null>;
}
