import { decoderTensors } from '../../worker/model/config/tensors.ts';
import type { DecoderConfig } from '../../worker/model/config/config.ts';
import type { WeightIndex } from '../../worker/model/weights/weight-index.ts';
import { FLOAT_BYTES } from '../../worker/safetensors/float-formats.ts';
import type { FloatDtype } from '../../worker/safetensors/float-formats.ts';

/** Weights that have the shapes of a model, and no file: for a plan, which reads none. */
export function shapedWeights(config: DecoderConfig, dtype: FloatDtype): WeightIndex {
  return new Map(
    decoderTensors(config).map(({ name, shape }) => [
      name,
      { file: 'nowhere', dtype, shape, offset: 0, bytes: shape.reduce((a, b) => a * b, FLOAT_BYTES[dtype]) },
    ]),
  );
}
