import { readFileSync } from 'node:fs';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import type { QuantizedEntry, QuantizedIndex, QuantizedTensor } from '../../worker/model/weights/quantized-index.ts';
import { readSafetensorsHeader, readTensor, writeSafetensors } from '../../worker/safetensors/safetensors.ts';
import type { TensorData } from '../../worker/safetensors/safetensors.ts';
import { fromInt4 } from './int4.ts';

/** Values [in, out] and scales [out] of a weight in 8 bits. */
export function matrixOf(index: QuantizedIndex, weight: string) {
  const { values, scales } = index.get(weight)!;
  return { values: new Int8Array(bytesOf(values)), scales: readTensor(scales.file, scales), shape: values.shape };
}

/** The bytes of a tensor in its file. */
export function bytesOf({ file, offset, bytes }: QuantizedTensor): Uint8Array {
  return new Uint8Array(readFileSync(file).subarray(offset, offset + bytes));
}

/** What a quantised weight stands for, [out, in]. */
export function widenedOf(entry: QuantizedEntry): { values: Float32Array; shape: [number, number] } {
  const scales = readTensor(entry.scales.file, entry.scales);
  if (entry.format === 'Int4') {
    const [outputs, blocks] = entry.scales.shape as [number, number];
    const matrix = { values: bytesOf(entry.values), scales, zeroPoints: bytesOf(entry.zeroPoints!) };
    return { values: fromInt4(matrix, 32 * blocks), shape: [outputs, 32 * blocks] };
  }
  const [inputs, outputs] = entry.values.shape as [number, number];
  const integers = new Int8Array(bytesOf(entry.values));
  const values = Float32Array.from({ length: inputs * outputs }, (_, i) => {
    const [output, input] = [Math.floor(i / inputs), i % inputs];
    return integers[input * outputs + output]! * scales[output]!;
  });
  return { values, shape: [outputs, inputs] };
}

/** The same model, with its quantised weights rounded in float32, in a new file. */
export function roundedModel(model: FederatedModel, file: string): FederatedModel {
  const { quantized, computeWeights: _, ...stored } = model;
  const tensors = [...quantized!.emulator].map(([name, entry]): TensorData => {
    const { values, shape } = widenedOf(entry);
    return { name, dtype: 'F32', shape, data: new Uint8Array(values.buffer) };
  });
  writeSafetensors(file, tensors);
  const replaced = [...readSafetensorsHeader(file).tensors].map(
    ([name, { shape, offset, bytes }]) => [name, { file, dtype: 'F32', shape, offset, bytes }] as const,
  );
  return { ...stored, weights: new Map([...model.weights, ...replaced]) };
}
