// Manifests of jobs, as YAML and as JSON.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { parseManifest } from '../../crds/parse.ts';
import { fuzz } from './harness.ts';
import { mutatedBytes, mutatedJson } from './mutations.ts';

// While it reads, the parser allocates half a KiB per character, which is garbage afterwards.
const LIMIT_MIB = 512;

const files = ['quickstart.yaml', 'gsm8k.yaml', 'cluster/job.yaml'];

for (const file of files) {
  const text =
    readFileSync(new URL(`../../examples/${file}`, import.meta.url), 'utf8')
      .split(/^---$/m)
      .find((part) => part.includes('kind: FedBiOTJob')) ?? '';
  t.test(file, async (t) => {
    const attempt = (manifest: string) => {
      const job = parseManifest(manifest, 'job.yaml');
      // An accepted manifest, written with every default, is accepted again.
      parseManifest(JSON.stringify(job), 'job.json');
    };
    await fuzz(t, { name: 'JSON', inputs: mutatedJson(parse(text)), runs: 300, limitMiB: LIMIT_MIB, attempt });
    await fuzz(t, {
      name: 'YAML',
      inputs: mutatedBytes(Buffer.from(text)).map((bytes) => Buffer.from(bytes).toString()),
      runs: 200,
      limitMiB: LIMIT_MIB,
      attempt,
    });
  });
}
