import { randomStream } from '../random.ts';

/** Who takes part in one attempt at a round; client numbers ascend. */
export interface Draw {
  readonly selected: readonly number[];
  /** Those of the selected that drop out, simulated: they are given no task. */
  readonly dropped: readonly number[];
}

/**
 * Draws the clients of an attempt at a round: `clientsPerRound` of `clients` without replacement, each of which drops
 * out with probability `dropoutRate`. It depends on nothing but its arguments, so a resumed run draws the same, and a
 * round that is tried again draws afresh.
 */
export function drawClients(
  seed: number,
  { round, attempt }: { readonly round: number; readonly attempt: number },
  {
    clients,
    clientsPerRound,
    dropoutRate,
  }: { readonly clients: number; readonly clientsPerRound: number; readonly dropoutRate: number },
): Draw {
  const everyone = Array.from({ length: clients }, (_, client) => client);
  const shuffled = randomStream(seed, 'sample', round, attempt).shuffle(everyone);
  const selected = shuffled.slice(0, clientsPerRound).sort((a, b) => a - b);
  const dropout = randomStream(seed, 'dropout', round, attempt);
  return { selected, dropped: selected.filter(() => dropout.uniform() < dropoutRate) };
}
