/** Exit codes of the command line and of worker pods, and how the Job that owns the pod handles them. */
export const EXIT = {
  succeeded: 0,
  /** A defect or a transient fault: the Job retries, up to backoffLimit. */
  failed: 1,
  /** An error that only the user can correct: the Job fails at once. */
  invalid: 2,
  /**
   * Redis does not answer or accepts no commands, or the server has another token than the client. It counts as a
   * failure only for the server: all client pods exit for the same cause, which must not be counted once per pod.
   */
  unavailable: 69,
  /**
   * Memory ran out within the limit of this process, which survived. A pod with a memory limit would fail again, so
   * the Job fails at once; without a limit, another node may have more, so it retries. If the machine, which others use
   * as well, or its GPU ran out, it is `failed`. The number is EX_OSERR of sysexits.h. It is not 137, which a container
   * has that was killed as a whole, for this or another reason.
   */
  outOfMemory: 71,
  /** Ended by SIGINT or SIGTERM. It does not count as a failure; a pod has written a checkpoint. */
  interrupted: 130,
} as const;
