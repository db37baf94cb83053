import { randomStream } from '../random.ts';

/** The clients of one attempt at a round, in ascending order. */
export interface Draw {
  readonly selected: readonly number[];
  /** Selected clients whose dropout is simulated. They get no task. */
  readonly dropped: readonly number[];
}

/**
 * Draws the clients of an attempt at a round: `clientsPerRound` of `clients` without replacement, each of which drops
 * out with probability `dropoutRate`. The draw depends only on the arguments, so a resumed run draws the same clients,
 * and a retry of the round draws new ones.
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
