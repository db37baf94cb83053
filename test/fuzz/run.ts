// npm run fuzz -- --n 20000 --seed 7 model-directory: tries more or other inputs than CI does, of all subjects or of
// those named.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EXIT } from '../../crds/facts/exit-codes.ts';

const { values, positionals } = parseArgs({
  options: { n: { type: 'string', default: '10000' }, seed: { type: 'string' } },
  allowPositionals: true,
});
const folder = fileURLToPath(new URL('.', import.meta.url));
const subjects = readdirSync(folder).flatMap((name) => /^(.*)\.test\.ts$/.exec(name)?.[1] ?? []);
const unknown = positionals.filter((name) => !subjects.includes(name));
if (unknown.length > 0) {
  console.error(`error: no subject is called ${unknown.join(', ')}\nhint: The subjects are ${subjects.join(', ')}.`);
  process.exit(EXIT.invalid);
}
const chosen = positionals.length === 0 ? subjects : positionals;
const env = {
  ...process.env,
  FEDBIOT_FUZZ_N: values.n,
  FEDBIOT_FUZZ_SEED: values.seed ?? String(Date.now() % 2 ** 31),
};
const { status } = spawnSync(
  'npx',
  ['tap', '--disable-coverage', '--timeout=0', ...chosen.map((name) => `${folder}${name}.test.ts`)],
  { env, stdio: 'inherit' },
);
process.exitCode = status ?? 1;
