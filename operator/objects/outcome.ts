/** The state of a job, or why it does not continue. */
export interface Standing {
  /** CamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** How a job has ended. */
export interface Outcome extends Standing {
  readonly phase: 'Succeeded' | 'Failed';
}
