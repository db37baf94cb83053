/** A small symmetric matrix as U·diag(d)·Uᵀ, with U unit upper triangular. */
export interface UnitUpper {
  /** U [size, size], with its diagonal and zeros below. */
  readonly upper: Float64Array;
  /** d [size]. */
  readonly pivots: Float64Array;
}

/**
 * Decomposes a symmetric matrix [size, size], of which only the lower triangle is read.
 * @param least pivots are at least this, as they are without rounding if the matrix has it added to its diagonal
 */
export function factorSymmetric(matrix: Float64Array, size: number, least: number): UnitUpper {
  const rest = Float64Array.from(matrix);
  const upper = new Float64Array(size * size);
  const pivots = new Float64Array(size);
  const column = new Float64Array(size);
  for (let k = size - 1; k >= 0; k--) {
    const pivot = Math.max(least, rest[k * size + k]!);
    pivots[k] = pivot;
    upper[k * size + k] = 1;
    for (let i = 0; i < k; i++) upper[i * size + k] = column[i] = rest[k * size + i]! / pivot;
    for (let i = 0; i < k; i++) {
      const scaled = column[i]! * pivot;
      for (let j = 0; j <= i; j++) rest[i * size + j]! -= scaled * column[j]!;
    }
  }
  return { upper, pivots };
}

/** U⁻¹ [size, size], upper triangular. */
export function invertUpper(upper: Float64Array, size: number): Float64Array {
  const inverse = new Float64Array(size * size);
  for (let i = size - 1; i >= 0; i--) {
    inverse[i * size + i] = 1;
    for (let m = i + 1; m < size; m++) {
      const factor = upper[i * size + m]!;
      for (let j = m; j < size; j++) inverse[i * size + j]! -= factor * inverse[m * size + j]!;
    }
  }
  return inverse;
}
