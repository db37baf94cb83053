import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { UserError } from '../../crds/facts/user-error.ts';
import { RefusalCounts } from '../../crds/facts/refusal.ts';
import { open, seal } from '../transport/package.ts';
import { layoutOf } from '../safetensors/tensor-layout.ts';
import type { LoraLayouts, LoraState, TrainingState } from './contracts.ts';
import { openLora, sealLora } from './lora-package.ts';
import { RoundState } from './state.ts';

/**
 * A point of a run from which it can be resumed to the same bits. The results received in the round are in
 * `ReceivedResults`.
 */
export interface Snapshot {
  readonly state: RoundState;
  readonly lora: LoraState;
  /** The state of an interrupted alignment, or null. */
  readonly alignment: TrainingState | null;
  /** Counts over the whole run. */
  readonly refusals: RefusalCounts;
}

/** A point of a run, and the length of metrics.jsonl at that point. */
export interface SavedSnapshot {
  readonly snapshot: Snapshot;
  /**
   * Bytes of metrics.jsonl. A run that resumes here truncates the file to this length first: later events are emitted
   * again.
   */
  readonly metricsBytes: number;
}

const Count = Type.Integer({ minimum: 0 });

const Saved = Type.Object({
  format: Type.Literal(1),
  /** SHA-256 (hex) of the run's inputs. */
  identity: Type.String(),
  /** The date that chat templates wrote into the data; absent if no template uses it. */
  date: Type.Optional(Type.String()),
  metricsBytes: Count,
  refusals: RefusalCounts,
  /** The rest of an interrupted alignment's state is in align.safetensors; `moments` are the lengths of its moments. */
  alignment: Type.Union([
    Type.Null(),
    Type.Object({ step: Count, losses: Type.Array(Type.Number()), moments: Type.Array(Count) }),
  ]),
  state: RoundState,
});

/** A checkpoint that cannot be resumed from. */
export class CorruptCheckpoint extends Error {
  override readonly name = 'CorruptCheckpoint';
}

const alignmentLayout = (parameters: number, moments: readonly number[]) =>
  layoutOf([
    { name: 'parameters', shape: [parameters] },
    ...moments.map((size, i) => ({ name: `moment.${i}`, shape: [size] })),
  ]);

/** The inputs of a run. */
export interface RunOrigin {
  /** SHA-256 (hex) of all inputs. */
  readonly identity: string;
  /** The date that chat templates wrote into the data; null if no template uses it. */
  readonly date: string | null;
}

/** Encodes the files of a checkpoint: state.json, lora.safetensors and, within an alignment, align.safetensors. */
export function encodeSnapshot(
  { snapshot, metricsBytes }: SavedSnapshot,
  layouts: LoraLayouts,
  { identity, date }: RunOrigin,
): Map<string, Uint8Array> {
  const { state, lora, alignment, refusals } = snapshot;
  const moments = alignment?.moments.map(({ length }) => length) ?? [];
  const saved: Static<typeof Saved> = {
    format: 1,
    identity,
    ...(date === null ? {} : { date }),
    metricsBytes,
    refusals,
    alignment: alignment && { step: alignment.step, losses: [...alignment.losses], moments },
    state,
  };
  const files = new Map<string, Uint8Array>();
  files.set('state.json', Buffer.from(`${JSON.stringify(saved, null, 1)}\n`));
  files.set('lora.safetensors', sealLora(layouts, lora).bytes);
  if (alignment !== null) {
    const layout = alignmentLayout(alignment.parameters.length, moments);
    const vector = new Float32Array(layout.size);
    [alignment.parameters, ...alignment.moments].forEach((part, i) => vector.set(part, layout.slices[i]!.offset));
    files.set('align.safetensors', seal(layout, vector).bytes);
  }
  return files;
}

/**
 * Decodes the files of `encodeSnapshot`.
 * @throws CorruptCheckpoint if a file is missing or invalid
 * @throws Refused if a tensor file is invalid
 * @throws UserError if its identity is another one
 */
export function decodeSnapshot(
  files: ReadonlyMap<string, Uint8Array>,
  layouts: LoraLayouts,
  identity: string,
): SavedSnapshot {
  const saved = parse(file(files, 'state.json'));
  if (saved.identity !== identity) {
    throw new UserError('the checkpoints belong to another job, or to this job with another model or other data', {
      hint: 'Choose another --out folder.',
    });
  }
  const { lora } = openLora(layouts, file(files, 'lora.safetensors'), 'lora.safetensors');
  const { metricsBytes, refusals, state } = saved;
  let alignment: TrainingState | null = null;
  if (saved.alignment !== null) {
    const { step, losses, moments } = saved.alignment;
    const layout = alignmentLayout(layouts.emulator.size, moments);
    const { vector } = open(file(files, 'align.safetensors'), layout, 'align.safetensors');
    const [parameters, ...rest] = layout.slices.map(({ offset, size }) => vector.slice(offset, offset + size));
    alignment = { step, losses, parameters: parameters!, moments: rest };
  }
  return { metricsBytes, snapshot: { state, lora, alignment, refusals } };
}

/** The date in a checkpoint's state.json; null if it has none. */
export function dateInCheckpoint(files: ReadonlyMap<string, Uint8Array>): string | null {
  return parse(file(files, 'state.json')).date ?? null;
}

function file(files: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const bytes = files.get(name);
  if (bytes === undefined) throw new CorruptCheckpoint(`${name} is missing`);
  return bytes;
}

function parse(bytes: Uint8Array): Static<typeof Saved> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw new CorruptCheckpoint('state.json is not JSON');
  }
  if (!Value.Check(Saved, value)) throw new CorruptCheckpoint('state.json was written by another version of fedbiot');
  return value;
}
