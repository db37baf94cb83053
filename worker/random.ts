import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import { sha256Bytes } from './files/sha256.ts';

/** A reproducible stream of random numbers; two streams with different labels are independent. */
export interface RandomStream {
  /** Uniform in [0, 2³²). */
  uint32(): number;
  /** Uniform in [0, 1), 53 bits. */
  uniform(): number;
  /** Standard normal, by the Box–Muller transform. */
  normal(): number;
  /** Uniform integer in [0, n). */
  below(n: number): number;
  /** A shuffled copy (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[];
}

/**
 * Every random choice of a job is drawn from a stream named by (seed, purpose, round, client, …). No choice depends on
 * how many were drawn elsewhere before it, so a resumed or differently scheduled run draws the same values.
 */
export function randomStream(seed: number, ...labels: readonly (string | number)[]): RandomStream {
  const digest = sha256Bytes(JSON.stringify([seed, ...labels]));
  const state = [0, 4, 8, 12].map((at) => digest.readInt32LE(at));
  if (!state.some(Boolean)) state[0] = 1;
  const generator = xoroshiro128plusFromState(state);
  const uint32 = () => generator.next() >>> 0;
  const uniform = () => ((uint32() >>> 5) * 2 ** 26 + (uint32() >>> 6)) / 2 ** 53;
  const below = (n: number) => Math.floor(uniform() * n);
  return {
    uint32,
    uniform,
    below,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    shuffle: (items) => {
      const out = [...items];
      for (let i = out.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [out[i], out[j]] = [out[j]!, out[i]!];
      }
      return out;
    },
  };
}
