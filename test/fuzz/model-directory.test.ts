import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parseDecoderConfig } from '../../worker/model/config/config.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { inverseFrequencies } from '../../worker/model/decoder/rotary.ts';
import { decoderTensors } from '../../worker/model/config/tensors.ts';
import { fuzz } from './harness.ts';
import { mutatedJson } from './mutations.ts';

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url));
const json = (path: string): unknown => JSON.parse(readFileSync(join(fixtures, path), 'utf8'));

t.test('config.json: a model that can be computed, or a refusal', async (t) => {
  const published = json('published-configs.json') as { of: string; config: unknown }[];
  const families = ['llama2', 'llama3', 'mistral', 'qwen2', 'smollm2'].map((name) =>
    json(`families/${name}/config.json`),
  );
  for (const config of [...families, ...published.filter((_, i) => i % 4 === 0).map(({ config }) => config)]) {
    await fuzz(t, {
      name: 'configs',
      inputs: mutatedJson(config),
      runs: 300,
      attempt: (text) => {
        const parsed = parseDecoderConfig(JSON.parse(valid(text)), 'config.json');
        if (!inverseFrequencies(parsed).every((frequency) => frequency > 0 && frequency <= 1))
          throw new Error(`frequencies of ${text}`);
        decoderTensors(parsed);
      },
    });
  }
});

t.test('a model directory with a mutated file: opened, or refused', async (t) => {
  for (const [family, file] of [
    ['llama2', 'config.json'],
    ['qwen2', 'config.json'],
    ['llama3', 'model.safetensors.index.json'],
  ] as const) {
    const dir = t.testdir({});
    cpSync(join(fixtures, 'families', family), dir, { recursive: true });
    await fuzz(t, {
      name: `${file} of ${family}`,
      inputs: mutatedJson(json(`families/${family}/${file}`)),
      runs: 300,
      attempt: (text) => {
        writeFileSync(join(dir, file), text, 'latin1');
        return openModelDirectory(dir);
      },
    });
  }
});

/** Replaces a text that is not JSON, which would be refused before any of it is read. */
function valid(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch {
    return 'null';
  }
}
