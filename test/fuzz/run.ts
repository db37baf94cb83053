// npm run fuzz -- --n 20000 --seed 7 model-config: tries more or other inputs than CI does, of all subjects or of those
// named.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  options: { n: { type: 'string', default: '10000' }, seed: { type: 'string' } },
  allowPositionals: true,
});
const folder = fileURLToPath(new URL('.', import.meta.url));
const files = readdirSync(folder).filter(
  (name) =>
    name.endsWith('.test.ts') && (positionals.length === 0 || positionals.includes(name.replace('.test.ts', ''))),
);
if (files.length === 0) throw new Error(`no subject is called ${positionals.join(', ')}`);
const env = {
  ...process.env,
  FEDBIOT_FUZZ_N: values.n,
  FEDBIOT_FUZZ_SEED: values.seed ?? String(Date.now() % 2 ** 31),
};
const { status } = spawnSync(
  'npx',
  ['tap', '--disable-coverage', '--timeout=0', ...files.map((name) => `${folder}${name}`)],
  { env, stdio: 'inherit' },
);
process.exitCode = status ?? 1;
