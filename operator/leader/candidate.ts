/** Whoever may lead: one of several replicas, or the only one. */
export interface Candidate {
  start(): void;
  /** Whether this process leads, at this very moment. */
  leads(): boolean;
  /** Ends the candidacy, or the lead. */
  stop(): Promise<void>;
}

/** The only replica leads from the start. */
export function soleReplica(elected: () => void): Candidate {
  let leads = false;
  return {
    start() {
      leads = true;
      elected();
    },
    leads: () => leads,
    async stop() {
      leads = false;
    },
  };
}
