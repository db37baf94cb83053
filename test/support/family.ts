import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Projection } from '../../crds/types.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import type { TokenBatch } from '../../worker/model/batch-feeds.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import { projections } from '../../worker/model/config/projections.ts';
import { loraLayout } from '../../worker/model/lora/layout.ts';
import type { LayerSplit } from '../../worker/model/split.ts';
import { fixtureTensors } from './fixture-tensors.ts';

/** Results of transformers + PEFT for a tiny model (test/oracle/families.py). */
export interface FamilyOracle {
  readonly layers: number;
  readonly loss: number;
  readonly loraLoss: number;
  readonly generation: readonly { readonly prompt: readonly number[]; readonly tokens: readonly number[] }[];
  readonly lora: { readonly rank: number; readonly alpha: number; readonly layers: number };
}

export interface Family {
  readonly oracle: FamilyOracle;
  readonly tensor: (name: string) => Tensor;
  /** The oracle's batch: two sequences, of which the shorter is padded. */
  readonly batch: TokenBatch;
  /** The model with the given split, and the oracle's LoRA. */
  readonly model: (split: LayerSplit, targets?: readonly Projection[]) => FederatedModel;
}

export function familyFolder(name: string): string {
  return fileURLToPath(new URL(`../fixtures/families/${name}`, import.meta.url));
}

export async function openFamily(folder: string): Promise<Family> {
  const { config, weights } = await openModelDirectory(folder);
  const oracle: FamilyOracle = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'));
  const tensor = fixtureTensors(join(folder, 'expected.safetensors'));
  const { rank, alpha } = oracle.lora;
  return {
    oracle,
    tensor,
    batch: oracleBatch(tensor),
    model: (split, targets = projections(config).map(({ name }) => name)) => {
      const part = (layers: readonly number[]) => ({
        layout: loraLayout(config, layers, { rank, targets: [...targets] }),
        scale: alpha / rank,
        dropout: 0,
      });
      return { config, weights, split, adapter: part([...split.front, ...split.tail]), emulator: part(split.emulator) };
    },
  };
}

function oracleBatch(tensor: Family['tensor']): TokenBatch {
  const integers = (name: string) => Int32Array.from(tensor(name).data, Number);
  const [rows, length] = tensor('input_ids').shape as [number, number];
  const lengths = integers('lengths');
  const tokens = lengths.reduce((a, b) => a + b, 0);
  return { rows, length, inputIds: integers('input_ids'), labels: integers('labels'), lengths, tokens };
}
