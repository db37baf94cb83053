import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parseDecoderConfig } from '../../worker/model/config/config.ts';
import { openPeft } from '../../worker/model/lora/peft.ts';
import { fuzz } from './harness.ts';
import { mutatedBytes, mutatedJson } from './mutations.ts';

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url));
const model = parseDecoderConfig(
  JSON.parse(readFileSync(join(fixtures, 'families/llama2/config.json'), 'utf8')),
  'config.json',
);

t.test('a PEFT directory: a plain LoRA of finite values, or a refusal', async (t) => {
  const dir = t.testdir({});
  cpSync(join(fixtures, 'peft'), dir, { recursive: true });
  const open = () => {
    const { spec, values } = openPeft(dir, model);
    if (!(spec.alpha / spec.rank > 0) || !values.every(Number.isFinite)) throw new Error('an adapter that is none');
  };
  const config = readFileSync(join(dir, 'adapter_config.json'), 'utf8');
  await fuzz(t, {
    name: 'adapter_config.json',
    inputs: mutatedJson(JSON.parse(config)),
    runs: 600,
    attempt: (text) => {
      writeFileSync(join(dir, 'adapter_config.json'), text, 'latin1');
      open();
    },
  });
  writeFileSync(join(dir, 'adapter_config.json'), config);
  await fuzz(t, {
    name: 'adapter_model.safetensors',
    inputs: mutatedBytes(readFileSync(join(dir, 'adapter_model.safetensors'))),
    runs: 600,
    attempt: (bytes) => {
      writeFileSync(join(dir, 'adapter_model.safetensors'), bytes);
      open();
    },
  });
});
