import { PANEL } from '../gptq/factor.ts';
import type { DecoderConfig } from '../model/config/config.ts';
import { inputGroups, projections } from '../model/config/projections.ts';

/*
 * Floating-point operations of the products with which a layer is rounded to 4 bits (docs/decisions/0010), in panels of
 * p columns; a multiplication and an addition count as two. For inputs of width n on T tokens, and a matrix [m, n]:
 *
 *   moments    T·n·(n + p)          a panel of Σ xᵀx ends at the diagonal
 *   factor     n³/3 + p·n²
 *   columns    m·n·(n + p/2)        for each matrix
 *
 * What runs beside the products takes time in proportion to the weights: the search of grids, and the columns within a
 * block.
 */

/** FLOPs of the products for one layer. */
export function roundingProducts(config: DecoderConfig, tokens: number): number {
  return inputGroups(config).reduce((sum, group) => {
    const n = group[0]!.in;
    const factor = tokens * n * (n + PANEL) + n ** 3 / 3 + PANEL * n ** 2;
    return sum + factor + group.reduce((columns, { out }) => columns + columnProducts(out, n), 0);
  }, 0);
}

/** FLOPs of the products between the columns of a matrix [m, n]. */
export function columnProducts(m: number, n: number): number {
  return m * n * (n + PANEL / 2);
}

/** Weights of a layer that are rounded. */
export function roundedWeights(config: DecoderConfig): number {
  return projections(config).reduce((sum, projection) => sum + projection.in * projection.out, 0);
}
