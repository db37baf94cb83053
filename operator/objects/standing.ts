/** The state of a job that has not ended, or why it does not continue. */
export interface Standing {
  /** CamelCase. */
  readonly reason: string;
  readonly message: string;
}
