import type { JobProgress } from '../../worker/cluster/progress.ts';

/** What a server pod tells in the first of three rounds. */
export const toldProgress = (fence: number, sequence: number): JobProgress => ({
  fence,
  sequence,
  at: '2026-01-01T00:00:00Z',
  phase: 'Training',
  round: 1,
  finishedRounds: 0,
  rounds: 3,
  clients: { selected: 4, reported: 0, dropped: 0, refused: 0 },
  refusals: {},
  alignmentLoss: null,
  localLoss: null,
  evaluation: null,
  cost: null,
  adapterSha256: null,
});
