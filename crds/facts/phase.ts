/** The phases of a round, in order. */
export const PHASES = ['align', 'local', 'aggregate', 'evaluate'] as const;

export type Phase = (typeof PHASES)[number];
