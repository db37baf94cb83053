import { appendFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { collate } from '../data/batch.ts';
import type { Batch } from '../data/batch.ts';
import type { Sequence } from '../data/sequence.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { makeFolder } from '../files/durable-files.ts';
import type { LoraState } from '../federation/contracts.ts';
import type { Trace } from '../federation/round-context.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { float32Tensor, writeSafetensors } from '../safetensors/safetensors.ts';
import type { TensorData } from '../safetensors/safetensors.ts';
import type { TensorLayout } from '../safetensors/tensor-layout.ts';

/**
 * Writes a run in the format that bench/torch_round.py replays: batches.jsonl with every batch in the order of use, and
 * the LoRA vectors after each phase. In this format, rounds are numbered from 0, layers are numbered within emulator +
 * adapter, and B is [out, rank].
 */
export class TraceWriter implements Trace {
  readonly #directory: string;
  readonly #model: FederatedModel;
  /** A client's batches are written with its result: only accepted results are replayed. */
  readonly #pending = new Map<string, string[]>();

  constructor(directory: string, model: FederatedModel) {
    makeFolder(directory);
    if (readdirSync(directory).length > 0)
      throw new UserError(`${directory} is not empty: a trace would be mixed with the files in it`, {
        hint: 'Choose another --trace folder.',
      });
    this.#directory = directory;
    this.#model = model;
  }

  alignmentBatch(round: number, step: number, sequences: readonly Sequence[]): void {
    this.#append([line('align', round, -1, step, collate(sequences, 0))]);
  }

  localBatch(round: number, client: number, step: number, sequences: readonly Sequence[]): void {
    const key = `${round}/${client}`;
    // A client whose worker was lost trains again from the first step.
    const lines = step === 0 ? [] : (this.#pending.get(key) ?? []);
    this.#pending.set(key, [...lines, line('client', round, client, step, collate(sequences, 0))]);
  }

  async initial(lora: LoraState): Promise<void> {
    this.#write('init_lora', [
      ...this.#tensors(this.#model.emulator.layout, lora.emulator),
      ...this.#tensors(this.#model.adapter.layout, lora.adapter),
    ]);
  }

  async aligned(round: number, lora: LoraState): Promise<void> {
    this.#write(`after_align_r${round - 1}`, [
      ...this.#tensors(this.#model.emulator.layout, lora.emulator),
      ...this.#tensors(this.#model.adapter.layout, lora.adapter),
    ]);
  }

  async client(round: number, client: number, adapter: Float32Array): Promise<void> {
    this.#append(this.#pending.get(`${round}/${client}`) ?? []);
    this.#pending.delete(`${round}/${client}`);
    this.#write(`client${client}_r${round - 1}`, this.#tensors(this.#model.adapter.layout, adapter));
  }

  async aggregated(round: number, adapter: Float32Array): Promise<void> {
    this.#write(`aggregated_r${round - 1}`, this.#tensors(this.#model.adapter.layout, adapter));
  }

  #append(lines: readonly string[]): void {
    appendFileSync(join(this.#directory, 'batches.jsonl'), lines.map((text) => `${text}\n`).join(''));
  }

  #write(name: string, tensors: readonly TensorData[]): void {
    writeSafetensors(join(this.#directory, `${name}.safetensors`), tensors);
  }

  #tensors({ slices }: TensorLayout, values: Float32Array): TensorData[] {
    const { front, emulator, tail } = this.#model.split;
    const student = [...front, ...emulator, ...tail];
    return slices.map(({ name, shape: [rows = 0, columns = 0], offset, size }) => {
      const [, layer, rest] = /^layers\.(\d+)\.(.+)$/.exec(name)!;
      const slice = values.subarray(offset, offset + size);
      const renamed = `layers.${student.indexOf(Number(layer))}.${rest}`;
      return name.endsWith('lora_B')
        ? float32Tensor(renamed, [columns, rows], transposed(slice, rows, columns))
        : float32Tensor(renamed, [rows, columns], slice);
    });
  }
}

function line(phase: 'align' | 'client', round: number, client: number, step: number, batch: Batch): string {
  const rows = <T>(of: (row: number) => T) => Array.from({ length: batch.rows }, (_, row) => of(row));
  const cut = (data: Int32Array) => rows((row) => [...data.subarray(row * batch.length, (row + 1) * batch.length)]);
  const mask = rows((row) => Array.from({ length: batch.length }, (_, i) => (i < batch.lengths[row]! ? 1 : 0)));
  return JSON.stringify({
    phase,
    round: round - 1,
    client,
    step,
    input_ids: cut(batch.inputIds),
    labels: cut(batch.labels),
    attention_mask: mask,
  });
}

function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(matrix, (_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)]!);
}
