/** How a job has ended. */
export interface Outcome {
  readonly phase: 'Succeeded' | 'Failed';
  /** CamelCase. */
  readonly reason: string;
  readonly message: string;
}
