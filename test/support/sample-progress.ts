import type { JobProgress } from '../../crds/facts/progress.ts';

/** The progress of a job in one of three rounds. */
export const sampleProgress = (round = 1): JobProgress => ({
  at: '2026-01-01T00:00:00Z',
  phase: 'Training',
  round,
  finishedRounds: 0,
  rounds: 3,
  clients: { selected: 4, reported: 0, dropped: 0, refused: 0 },
  refusals: {},
  alignmentLoss: null,
  localLoss: null,
  evaluation: null,
  cost: null,
  memory: { server: 3 * 2 ** 30, client: 2 ** 30 },
  adapterSha256: null,
});
