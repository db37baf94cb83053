import { readFully, withInput } from '../../files/read.ts';
import { FLOAT_BYTES, widenToFloat32 } from '../../safetensors/float-formats.ts';
import type { WeightEntry } from '../../safetensors/safetensors.ts';

const PIECE = 1 << 20;

/**
 * Whether two stored matrices of the same shape hold the same values. It reads until they differ: immediately for a
 * head that was trained separately, to the end for a checkpoint that stores the embedding twice.
 * @throws UserError if a file is truncated
 */
export function sameValues(a: WeightEntry, b: WeightEntry): boolean {
  const count = a.shape.reduce((product, size) => product * size, 1);
  return withInput(a.file, (fdA) =>
    withInput(b.file, (fdB) => {
      for (let done = 0; done < count; done += PIECE) {
        const n = Math.min(PIECE, count - done);
        const [left, right] = [values(fdA, a, done, n), values(fdB, b, done, n)];
        for (let i = 0; i < n; i++) if (left[i] !== right[i]) return false;
      }
      return true;
    }),
  );
}

function values(fd: number, { file, dtype, offset }: WeightEntry, first: number, n: number): Float32Array {
  const size = FLOAT_BYTES[dtype];
  const out = new Float32Array(n);
  widenToFloat32(dtype, readFully(fd, offset + first * size, n * size, file), out);
  return out;
}
