import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDecoderConfig } from '../../worker/model/config/config.ts';
import { decoderTensors, layerOf } from '../../worker/model/config/tensors.ts';
import type { NamedShape } from '../../worker/model/config/tensors.ts';
import { writeWeights, writeZeros } from './random-weights.ts';
import type { WrittenDtype } from './random-weights.ts';

const TOKENIZER = fileURLToPath(new URL('../../examples/quickstart/model/', import.meta.url));

/** The sizes in which models of the LLaMA 2 family differ. */
export interface LlamaShape {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
}

export const LLAMA_2_7B: LlamaShape = { hidden: 4096, intermediate: 11008, layers: 32, heads: 32, keyValueHeads: 32 };
export const LLAMA_2_13B: LlamaShape = { hidden: 5120, intermediate: 13824, layers: 40, heads: 40, keyValueHeads: 40 };
export const LLAMA_2_70B: LlamaShape = { hidden: 8192, intermediate: 28672, layers: 80, heads: 64, keyValueHeads: 8 };

/** Writes a model directory with the shape of a LLaMA 2, random weights and the quickstart's tokenizer. */
export async function writeLlama(folder: string, shape: LlamaShape, dtype: WrittenDtype = 'F16'): Promise<void> {
  const tensors = writeDescription(folder, shape, dtype);
  await writeWeights(join(folder, 'model.safetensors'), shapesOf(tensors), dtype);
}

/**
 * The same with one file per layer, for shapes larger than the disk. Weights of layers that are not in `random` are
 * zeros: such a layer returns its input, at the cost of any other.
 */
export async function writeSparseLlama(
  folder: string,
  shape: LlamaShape,
  random: readonly number[],
  dtype: WrittenDtype = 'F16',
): Promise<void> {
  const shards = Map.groupBy(writeDescription(folder, shape, dtype), ({ name }) => layerOf(name));
  const weightMap: Record<string, string> = {};
  for (const [layer, tensors] of shards) {
    const file = `model-${layer ?? 'ends'}.safetensors`;
    const write = layer === null || random.includes(layer) ? writeWeights : writeZeros;
    await write(join(folder, file), shapesOf(tensors), dtype);
    for (const { name } of tensors) weightMap[name] = file;
  }
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
}

const shapesOf = (tensors: readonly NamedShape[]) => new Map(tensors.map(({ name, shape }) => [name, shape]));

/** Writes the files beside the weights; returns the weights that the model needs. */
function writeDescription(folder: string, shape: LlamaShape, dtype: WrittenDtype): NamedShape[] {
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    rms_norm_eps: 1e-5,
    hidden_size: shape.hidden,
    intermediate_size: shape.intermediate,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.keyValueHeads,
    vocab_size: 32000,
    tie_word_embeddings: false,
    max_position_embeddings: 4096,
    torch_dtype: dtype === 'F16' ? 'float16' : 'float32',
    bos_token_id: null,
    eos_token_id: 356,
    pad_token_id: 357,
  };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config, null, 2));
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) cpSync(join(TOKENIZER, file), join(folder, file));
  return decoderTensors(parseDecoderConfig(config, 'config.json'));
}
