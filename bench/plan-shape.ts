// Prints the output of `fedbiot plan` for examples/gsm8k.yaml with models of given shapes, without their weights
// (npm run bench:plan).
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { parseDecoderConfig } from '../worker/model/config/config.ts';
import { encodeHeader, tensorBytes } from '../worker/safetensors/header.ts';
import { decoderTensors } from '../worker/model/config/tensors.ts';
import { planText } from '../worker/report/summary.ts';
import { estimateManifest } from '../worker/run/estimate-job.ts';

const ROOT = join(import.meta.dirname, '..');

const LLAMA = { architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_act: 'silu', rms_norm_eps: 1e-5 };

/** From the models' config.json files. */
const SHAPES = {
  'SmolLM2-135M': {
    ...LLAMA,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    vocab_size: 49152,
    tie_word_embeddings: true,
    max_position_embeddings: 8192,
    torch_dtype: 'bfloat16',
  },
  'LLaMA-2-7B': {
    ...LLAMA,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    vocab_size: 32000,
    tie_word_embeddings: false,
    max_position_embeddings: 4096,
    torch_dtype: 'float16',
  },
} as const;

const TOKENS = { 'evaluation.task': 'tokens' };
const SHORT = {
  ...TOKENS,
  'emulator.alignment.batchSize': 1,
  'federation.local.batchSize': 1,
  'federation.local.gradientAccumulation': 4,
  'federation.local.sequenceLength': 256,
};
const WITHOUT_KL = { ...SHORT, 'emulator.alignment.klWeight': 0 };

/** What each job changes of the example. */
const CASES: readonly { name: keyof typeof SHAPES; settings: Readonly<Record<string, string | number>> }[] = [
  { name: 'SmolLM2-135M', settings: {} },
  { name: 'LLaMA-2-7B', settings: {} },
  { name: 'LLaMA-2-7B', settings: TOKENS },
  { name: 'LLaMA-2-7B', settings: SHORT },
  { name: 'LLaMA-2-7B', settings: WITHOUT_KL },
  { name: 'LLaMA-2-7B', settings: { ...WITHOUT_KL, 'emulator.weights': 'Int8', 'model.computeWeights': 'Int8' } },
  { name: 'LLaMA-2-7B', settings: { ...WITHOUT_KL, 'emulator.weights': 'Int4', 'model.computeWeights': 'Int8' } },
];

/** Number of records in the example's public data set, and of held-out records that it evaluates. */
const PUBLIC_RECORDS = 15_011;
const EVALUATED_RECORDS = 200;

const record = (count: number) => `${JSON.stringify({ instruction: 'a', input: '', output: 'b' })}\n`.repeat(count);

/** Writes a model directory that `plan` can read: a safetensors header, followed by a hole instead of weights. */
function writeShape(folder: string, config: (typeof SHAPES)[keyof typeof SHAPES]): void {
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const dtype = config.torch_dtype === 'float16' ? 'F16' : 'BF16';
  const tensors = decoderTensors(parseDecoderConfig(config, 'config.json')).map(
    ({ name, shape }) => ({ name, dtype, shape, bytes: tensorBytes(dtype, shape) }) as const,
  );
  const header = encodeHeader(tensors, { format: 'pt' });
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, header);
  ftruncateSync(file, header.byteLength + tensors.reduce((sum, { bytes }) => sum + bytes, 0));
  closeSync(file);
}

const work = mkdtempSync(join(tmpdir(), 'fedbiot-plan-'));
try {
  for (const [name, count] of [
    ['train', 3],
    ['public', PUBLIC_RECORDS],
    ['eval', EVALUATED_RECORDS],
  ] as const)
    writeFileSync(join(work, `${name}.jsonl`), record(count));
  for (const [index, { name, settings }] of CASES.entries()) {
    writeShape(join(work, `${index}`), SHAPES[name]);
    const manifest = parseDocument(readFileSync(join(ROOT, 'examples/gsm8k.yaml'), 'utf8'));
    manifest.setIn(['spec', 'model', 'uri'], `${index}`);
    for (const [field, value] of Object.entries(settings)) manifest.setIn(['spec', ...field.split('.')], value);
    for (const data of ['train', 'public', 'eval']) manifest.setIn(['spec', 'data', data, 'uri'], `${data}.jsonl`);
    const path = join(work, `${index}.yaml`);
    writeFileSync(path, manifest.toString());
    process.stdout.write(
      `## ${[name, ...Object.entries(settings).map((entry) => entry.join(': '))].join(', ')}\n\n${planText(await estimateManifest(path, { provider: 'cuda' }))}\n`,
    );
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
