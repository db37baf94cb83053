import type { RoundId, Sealed, Task } from '../transport/contract.ts';
import { open, seal, sealedBytes } from '../transport/package.ts';
import { Refused } from '../../crds/facts/refusal.ts';
import { layoutOf } from '../safetensors/tensor-layout.ts';
import type { TensorLayout } from '../safetensors/tensor-layout.ts';
import type { LoraLayouts, LoraState } from './contracts.ts';

/** The layout of both LoRA vectors in one: tensors are named `adapter.…` and `emulator.…`. */
function joined({ adapter, emulator }: LoraLayouts): TensorLayout {
  const prefixed = (prefix: string, { slices }: TensorLayout) =>
    slices.map(({ name, shape }) => ({ name: `${prefix}.${name}`, shape }));
  return layoutOf([...prefixed('adapter', adapter), ...prefixed('emulator', emulator)]);
}

/** Encodes both vectors as safetensors. */
export function sealLora(
  layouts: LoraLayouts,
  lora: LoraState,
  metadata: Readonly<Record<string, string>> = {},
): Sealed {
  const vector = new Float32Array(layouts.adapter.size + layouts.emulator.size);
  vector.set(lora.adapter);
  vector.set(lora.emulator, layouts.adapter.size);
  return seal(joined(layouts), vector, metadata);
}

/** @throws Refused unless the bytes are what `sealLora` produces for these layouts, with finite values */
export function openLora(
  layouts: LoraLayouts,
  bytes: Uint8Array,
  what: string,
): { lora: LoraState; metadata: Readonly<Record<string, string>> } {
  const { vector, metadata } = open(bytes, joined(layouts), what);
  return {
    lora: { adapter: vector.slice(0, layouts.adapter.size), emulator: vector.slice(layouts.adapter.size) },
    metadata,
  };
}

const roundMetadata = ({ job, round, attempt }: RoundId) => ({ job, round: String(round), attempt: String(attempt) });

/** The package that the server sends to every client of a round: the current LoRA of adapter and emulator. */
export function sealRound(layouts: LoraLayouts, lora: LoraState, round: RoundId): Sealed {
  return sealLora(layouts, lora, roundMetadata(round));
}

/** Size of the package that `sealRound` produces, in bytes. */
export function roundBytes(layouts: LoraLayouts, round: RoundId): number {
  return sealedBytes(joined(layouts), roundMetadata(round));
}

/**
 * The LoRA state that a task starts from. The transport has checked the digest.
 * @throws Refused if the package belongs to another round
 */
export function openRound(layouts: LoraLayouts, bytes: Uint8Array, task: Task): LoraState {
  const { lora, metadata } = openLora(layouts, bytes, `the package of round ${task.round}`);
  for (const [name, value] of Object.entries(roundMetadata(task))) {
    if (metadata[name] !== value)
      throw new Refused('wrong-round', `the package has ${name} ${metadata[name]}, but the task has ${value}`);
  }
  return lora;
}
