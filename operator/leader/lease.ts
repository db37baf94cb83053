/** What a Lease says; the names are those of coordination.k8s.io/v1, shortened. */
export interface LeaseRecord {
  /** Who leads; empty: nobody. */
  readonly holder: string;
  /** For how long after a renewal nobody else may lead. */
  readonly durationSeconds: number;
  /** Milliseconds since 1970 by the holder's clock: for people. Observers go by their own. */
  readonly acquiredAt: number;
  readonly renewedAt: number;
  /** How often the lease has changed hands. */
  readonly transitions: number;
}

/** A record as it is stored; `version` names this very state of it. */
export interface StoredLease {
  readonly record: LeaseRecord;
  readonly version: string;
}

/** Where candidates leave their word. Everything rejects with what the API server answers. */
export interface LeaseStore {
  /** null: there is none. */
  read(): Promise<StoredLease | null>;
  /** null: somebody else was faster. */
  create(record: LeaseRecord): Promise<StoredLease | null>;
  /** Replaces that version; null: it is not the newest any more. */
  replace(version: string, record: LeaseRecord): Promise<StoredLease | null>;
}
