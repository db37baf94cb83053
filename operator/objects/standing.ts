/** Where a job stands that has not ended, or the reason why it does not continue. */
export interface Standing {
  /** CamelCase. */
  readonly reason: string;
  readonly message: string;
}
