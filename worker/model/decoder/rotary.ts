import type { DecoderConfig } from '../config/config.ts';

/**
 * Inverse frequencies of the rotary position encoding, one per pair of dimensions, in float64: θ^(-2i/d), scaled as in
 * the model's training. `linear` divides all by the factor (positional interpolation); `llama3` divides the low
 * frequencies only, those whose wavelength exceeds the original context over lowFreqFactor, and blends up to
 * highFreqFactor.
 * @returns [headDim/2], radians per position
 */
export function inverseFrequencies(config: Pick<DecoderConfig, 'headDim' | 'rope'>): Float64Array {
  const { theta, scaling } = config.rope;
  const plain = Float64Array.from({ length: config.headDim / 2 }, (_, i) => theta ** ((-2 * i) / config.headDim));
  if (scaling === null) return plain;
  const { factor } = scaling;
  if (scaling.kind === 'linear') return plain.map((frequency) => frequency / factor);
  const { lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  return plain.map((frequency) => {
    const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
    // The share of the frequency that is kept: 0 below lowFreqFactor turns in the original context, 1 above
    // highFreqFactor.
    const kept = Math.min(1, Math.max(0, (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)));
    return (1 - kept) * (frequency / factor) + kept * frequency;
  });
}
