import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDecoderConfig } from '../../worker/model/config/config.ts';
import { float32Tensor, writeSafetensors } from '../../worker/safetensors/safetensors.ts';
import { decoderTensors } from '../../worker/model/config/tensors.ts';
import { randomStream } from '../../worker/random.ts';

const TOKENIZER = fileURLToPath(new URL('../fixtures/tokenizers/smollm2/', import.meta.url));
const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 48,
  intermediate_size: 96,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  vocab_size: 556,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  hidden_act: 'silu',
  bos_token_id: null,
  eos_token_id: 1,
  torch_dtype: 'float32',
};

/** Widths of a small model whose matrices 4 bits can hold. */
export const WHOLE_BLOCKS = { hidden_size: 64, intermediate_size: 128 };

/** Writes a directory with an untrained model of six small layers, and a matching tokenizer. */
export function writeTinyModel(directory: string, widths: Partial<typeof WHOLE_BLOCKS> = {}): void {
  const config = { ...CONFIG, ...widths };
  mkdirSync(directory, { recursive: true });
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    copyFileSync(join(TOKENIZER, name), join(directory, name));
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
  const random = randomStream(0, 'tiny model');
  const tensors = decoderTensors(parseDecoderConfig(config, 'config.json')).map(({ name, shape }) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const values =
      shape.length === 1
        ? new Float32Array(size).fill(1)
        : Float32Array.from({ length: size }, () => 0.15 * random.normal());
    return float32Tensor(name, shape, values);
  });
  writeSafetensors(join(directory, 'model.safetensors'), tensors, { format: 'pt' });
}
