/** Rounds a small number to the nearest integer, and halves to even. */
export const nearestInteger = (x: number): number => x + ROUNDING - ROUNDING;

/** Added and subtracted, it leaves no fraction. */
const ROUNDING = 1.5 * 2 ** 52;
