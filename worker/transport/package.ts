import { UserError } from '../../crds/facts/user-error.ts';
import { encodeHeader, headerLength, LENGTH_BYTES, parseHeader } from '../safetensors/header.ts';
import type { SafetensorsHeader } from '../safetensors/header.ts';
import { encodeSafetensors, float32Tensor, inFileOrder } from '../safetensors/safetensors.ts';
import type { TensorLayout } from '../safetensors/tensor-layout.ts';
import type { Sealed } from './contract.ts';
import { sha256 } from '../files/sha256.ts';
import { Refused } from '../../crds/facts/refusal.ts';

/** Maximum size of a package's metadata. */
const METADATA_BYTES = 4096;

const bytesOf = ({ size }: { size: number }) => size * Float32Array.BYTES_PER_ELEMENT;

/** A flat float32 vector as safetensors, with slices named by `layout`. Equal inputs give equal bytes. */
export function seal(
  layout: TensorLayout,
  vector: Float32Array,
  metadata: Readonly<Record<string, string>> = {},
): Sealed {
  if (vector.length !== layout.size)
    throw new Error(`a vector of ${vector.length} elements for a layout of ${layout.size}`);
  const tensors = layout.slices.map(({ name, shape, offset, size }) =>
    float32Tensor(name, shape, vector.subarray(offset, offset + size)),
  );
  const bytes = encodeSafetensors(tensors, metadata);
  return { bytes, sha256: sha256(bytes) };
}

/** Size in bytes of a sealed vector of this layout. */
export function sealedBytes(layout: TensorLayout, metadata: Readonly<Record<string, string>>): number {
  const tensors = layout.slices.map((slice) => ({
    name: slice.name,
    dtype: 'F32' as const,
    shape: slice.shape,
    bytes: bytesOf(slice),
  }));
  return encodeHeader(inFileOrder(tensors), metadata).byteLength + bytesOf(layout);
}

/** Maximum size in bytes of a sealed vector of this layout. */
export function maxSealedBytes(layout: TensorLayout): number {
  return sealedBytes(layout, {}) + METADATA_BYTES;
}

/** @throws Refused if size or digest differ from the announced ones */
export function checkSeal(
  bytes: Uint8Array,
  announced: { readonly bytes: number; readonly sha256: string },
  what: string,
): void {
  if (bytes.byteLength !== announced.bytes) {
    throw new Refused('wrong-digest', `${what}: received ${bytes.byteLength} bytes, ${announced.bytes} were announced`);
  }
  if (sha256(bytes) !== announced.sha256)
    throw new Refused('wrong-digest', `${what}: its SHA-256 differs from the announced one`);
}

/**
 * Reads the output of `seal`. The bytes are not trusted: size, names, shapes and dtypes are checked before any value is
 * copied, then every value must be finite.
 * @param what names the package in refusals
 * @throws Refused
 */
export function open(
  bytes: Uint8Array,
  layout: TensorLayout,
  what: string,
): { vector: Float32Array; metadata: Readonly<Record<string, string>> } {
  const limit = maxSealedBytes(layout);
  if (bytes.byteLength > limit)
    throw new Refused('too-large', `${what} has ${bytes.byteLength} bytes, at most ${limit} are allowed`);
  const { tensors, metadata } = readHeader(bytes, what);
  // Checked before memory is allocated: the layout may come from a damaged file.
  const found = layout.slices.map((slice) => {
    const tensor = tensors.get(slice.name);
    if (tensor === undefined) throw new Refused('wrong-shape', `${what} lacks tensor ${slice.name}`);
    if (tensor.dtype !== 'F32' || String(tensor.shape) !== String(slice.shape)) {
      const is = `${tensor.dtype} [${tensor.shape.join(', ')}]`;
      throw new Refused('wrong-shape', `${what}: ${slice.name} is ${is}, not F32 [${slice.shape.join(', ')}]`);
    }
    return { at: bytesOf({ size: slice.offset }), stored: bytes.subarray(tensor.offset, tensor.offset + tensor.bytes) };
  });
  if (tensors.size > layout.slices.length) {
    const known = new Set(layout.slices.map(({ name }) => name));
    const stranger = [...tensors.keys()].find((name) => !known.has(name));
    throw new Refused(
      'wrong-shape',
      `${what} holds a tensor that does not belong there: ${JSON.stringify(stranger?.slice(0, 100))}`,
    );
  }
  const vector = new Float32Array(layout.size);
  const target = new Uint8Array(vector.buffer);
  for (const { at, stored } of found) target.set(stored, at);
  const notFinite = findNotFinite(layout, vector);
  if (notFinite !== null) throw new Refused('not-finite', `${what}: ${notFinite}`);
  return { vector, metadata };
}

function readHeader(bytes: Uint8Array, what: string): SafetensorsHeader {
  try {
    const length = headerLength(bytes.subarray(0, LENGTH_BYTES), bytes.byteLength, what);
    return parseHeader(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length), bytes.byteLength, what);
  } catch (error) {
    if (error instanceof UserError) throw new Refused('malformed', error.message);
    throw error;
  }
}

/** The first element that is not finite, as `NAME holds NaN at element 3`; null if all are finite. */
export function findNotFinite({ slices }: TensorLayout, vector: Float32Array): string | null {
  const at = vector.findIndex((value) => !Number.isFinite(value));
  const slice = slices.find(({ offset, size }) => at >= offset && at < offset + size);
  return slice === undefined ? null : `${slice.name} holds ${vector[at]} at element ${at - slice.offset}`;
}
