/** The two roles of a job's processes. */
export const ROLES = ['server', 'client'] as const;

export type Role = (typeof ROLES)[number];
