import { readFileSync } from 'node:fs';
import type { Provider } from './compute-protocol.ts';
import type { MatrixProduct } from './ops/linear.ts';

/**
 * Instructions that multiply unsigned by signed bytes and add the products without saturation, by their names in
 * /proc/cpuinfo: of x86-64 (avx512_vnni, avx_vnni, amx_int8) and of arm64 (asimddp, i8mm). AVX2 alone has an
 * instruction that saturates.
 */
const EXACT = ['avx512_vnni', 'avx_vnni', 'amx_int8', 'asimddp', 'i8mm'];

/**
 * How this machine multiplies by a quantised matrix: with 8-bit integers if its processor does so exactly. CUDA has no
 * kernel for unsigned rows. Results differ in their rounding, so that the bits of a run depend on this.
 */
export function matrixProduct(provider: Provider): MatrixProduct {
  return provider === 'cpu' && multipliesBytes(processorFlags()) ? 'Int8' : 'Float32';
}

/** @param cpuinfo the text of /proc/cpuinfo, of which the first processor counts */
export function multipliesBytes(cpuinfo: string): boolean {
  const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo)?.[1]?.split(' ') ?? [];
  return EXACT.some((flag) => flags.includes(flag));
}

function processorFlags(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    // Not Linux: the processor's instructions are not known.
    return '';
  }
}
