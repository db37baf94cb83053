import { GARBAGE_BYTES } from '../engine/garbage.ts';
import { CALIBRATION_TOKENS } from '../inference/calibration.ts';
import type { DecoderConfig } from '../model/config/config.ts';
import { inputGroups } from '../model/config/projections.ts';
import { FLOAT_BYTES } from '../safetensors/float-formats.ts';

/** Bytes for a weight in the main process: in float32, its level in two orders, and what is packed. */
const MAIN_BYTES_OF_WEIGHT = FLOAT_BYTES.F32 + 3;

/** Bytes that the two processes of a server need at most to round the emulator to 4 bits; measured. */
export interface RoundingMemory {
  readonly main: number;
  /** While a layer runs: what its projections read. */
  readonly passing: number;
  /** While its matrices are rounded. */
  readonly rounding: number;
}

export function roundingMemory(config: DecoderConfig): RoundingMemory {
  const groups = inputGroups(config).map((group) => {
    const [{ in: inputs }] = group as [(typeof group)[number]];
    const weights = inputs * Math.max(...group.map(({ out }) => out));
    return {
      read: CALIBRATION_TOKENS * inputs * FLOAT_BYTES.F32,
      factor: (inputs ** 2 / 2) * FLOAT_BYTES.F32,
      weights,
    };
  });
  const total = (of: readonly { readonly read: number }[]) => of.reduce((sum, { read }) => sum + read, 0);
  const rounding = groups.map(({ read, factor, weights }, i) => {
    const factoring = read + Math.min(read, GARBAGE_BYTES);
    const errors = 2 * weights * FLOAT_BYTES.F32;
    return total(groups.slice(i + 1)) + factor + Math.max(factoring, errors) + GARBAGE_BYTES;
  });
  return {
    main: MAIN_BYTES_OF_WEIGHT * Math.max(...groups.map(({ weights }) => weights)),
    passing: total(groups),
    rounding: Math.max(...rounding),
  };
}
