/** A replica that may lead: one of several, or the only one. */
export interface Candidate {
  start(): void;
  /** Whether this process leads now. */
  leads(): boolean;
  /** Ends the candidacy, and releases the lead. */
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
