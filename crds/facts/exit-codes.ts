/** Exit codes of the command line and of worker pods, and what the Job that owns a pod makes of them. */
export const EXIT = {
  succeeded: 0,
  /** A defect or a transient fault: a Job retries within backoffLimit. */
  failed: 1,
  /** Something only the user can change: a Job fails at once. */
  invalid: 2,
  /**
   * Redis does not answer, or accepts no commands now; or the server has another token than the client. It counts as a
   * failure only for the server: the cause is the same for every client pod, and must not count once for each.
   */
  unavailable: 69,
  /** Ended by SIGINT or SIGTERM; a pod has written a checkpoint, and it does not count as a failure. */
  interrupted: 130,
} as const;
