import { readFileSync } from 'node:fs';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import type { QuantizedWeights } from '../../worker/model/weights/quantized-index.ts';
import { readSafetensorsHeader, readTensor, writeSafetensors } from '../../worker/safetensors/safetensors.ts';
import type { TensorData } from '../../worker/safetensors/safetensors.ts';

/** Values [in, out] and scales [out] of a quantised weight. */
export function matrixOf({ index }: QuantizedWeights, weight: string) {
  const { values, scales } = index.get(weight)!;
  const bytes = readFileSync(values.file).subarray(values.offset, values.offset + values.bytes);
  return { values: new Int8Array(bytes), scales: readTensor(scales.file, scales), shape: values.shape };
}

/** The same model, with its quantised weights rounded in float32, in a new file. */
export function roundedModel(model: FederatedModel, file: string): FederatedModel {
  const { quantized, computeWeights: _, ...stored } = model;
  const tensors = [...quantized!.index.keys()].map((name): TensorData => {
    const { values, scales, shape } = matrixOf(quantized!, name);
    const [inputs, outputs] = shape as [number, number];
    const weights = Float32Array.from({ length: inputs * outputs }, (_, i) => {
      const [output, input] = [Math.floor(i / inputs), i % inputs];
      return values[input * outputs + output]! * scales[output]!;
    });
    return { name, dtype: 'F32', shape: [outputs, inputs], data: new Uint8Array(weights.buffer) };
  });
  writeSafetensors(file, tensors);
  const replaced = [...readSafetensorsHeader(file).tensors].map(
    ([name, { shape, offset, bytes }]) => [name, { file, dtype: 'F32', shape, offset, bytes }] as const,
  );
  return { ...stored, weights: new Map([...model.weights, ...replaced]) };
}
