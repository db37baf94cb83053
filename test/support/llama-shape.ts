import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDecoderConfig } from '../../worker/model/config/config.ts';
import { decoderTensors } from '../../worker/model/config/tensors.ts';
import { writeWeights } from './random-weights.ts';
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

/** Writes a model directory with the shape of a LLaMA 2, random weights and the quickstart's tokenizer. */
export async function writeLlama(folder: string, shape: LlamaShape, dtype: WrittenDtype = 'F16'): Promise<void> {
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
  const tensors = decoderTensors(parseDecoderConfig(config, 'config.json'));
  await writeWeights(join(folder, 'model.safetensors'), new Map(tensors.map((each) => [each.name, each.shape])), dtype);
}
