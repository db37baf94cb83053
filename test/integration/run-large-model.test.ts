// A run whose teacher part and emulator have more weights than one session copies, so that their layers run one at a
// time: it gives the same adapter killed and resumed, and with more compute processes; and it reports the progress of
// its sweeps, which is in no log.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { sha256Bytes } from '../../worker/files/sha256.ts';
import type { LiveEvent } from '../../worker/report/display-state.ts';
import { writeLlama } from '../support/llama-shape.ts';
import { runTinyJob, writeSums } from '../support/tiny-job.ts';

const FEDBIOT = fileURLToPath(new URL('../../worker/fedbiot.ts', import.meta.url));

const root = t.testdir();
await writeLlama(join(root, 'model'), { hidden: 2048, intermediate: 5632, layers: 7, heads: 16, keyValueHeads: 16 });
for (const [name, count] of [
  ['train', 4],
  ['public', 4],
  ['eval', 2],
] as const)
  writeSums(join(root, `${name}.jsonl`), count);

/** Steps of each phase that a run has reported, and then its adapter; it is killed when it reports `killAt`. */
async function run(job: string, out: string, workers: number, killAt: number | null = null): Promise<string | null> {
  const resume = existsSync(out) ? ['--resume'] : [];
  const options = ['--json', '--force', '--threads', '1', '--workers', String(workers), ...resume];
  const child = spawn(process.execPath, [FEDBIOT, 'run', job, '--out', out, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let steps = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('{"event":"step"') && ++steps === killAt) child.kill('SIGKILL');
  });
  const [code, signal]: unknown[] = await once(child, 'exit');
  if (signal === 'SIGKILL') return null;
  if (code !== 0) throw new Error(`the run ended with code ${String(code)}`);
  return sha256Bytes(readFileSync(join(out, 'adapter', 'adapter_model.safetensors'))).toString('hex');
}

/** A run in this process: its adapter, and the phases whose sweeps it has reported. */
async function runHere(job: string, out: string): Promise<{ adapter: string | null; swept: readonly string[] }> {
  const swept = new Set<string>();
  const onEvent = (event: LiveEvent) => {
    if (event.event === 'sweep') swept.add(event.phase);
  };
  const result = await runTinyJob(job, out, { force: true, onEvent });
  return { adapter: result.outcome === 'succeeded' ? result.report.adapterSha256 : null, swept: [...swept] };
}

for (const [placement, phases] of [
  ['Last', ['align', 'local']],
  // Clients train through the emulator, and compute no states ahead.
  ['Both', ['align']],
] as const) {
  t.test(`a run of a large model, adapter ${placement}`, { timeout: 900_000 }, async (t) => {
    const job = join(root, `${placement}.yaml`);
    writeFileSync(
      job,
      `apiVersion: fedbiot.io/v1alpha1
kind: FedBiOTJob
metadata: { name: large }
spec:
  model: { uri: model }
  data:
    train: { uri: train.jsonl, template: None }
    public: { uri: public.jsonl, template: None }
    eval: { uri: eval.jsonl, template: None }
  emulator: { layerDropRate: 0, alignment: { initialSteps: 3, stepsPerRound: 1, batchSize: 2, sequenceLength: 64 } }
  adapter: { placement: ${placement}, layers: 1, lora: { rank: 2, targets: [q_proj] } }
  federation: { rounds: 2, clients: 2, local: { steps: 2, batchSize: 1, sequenceLength: 64 } }
  evaluation: { task: loss }
`,
    );
    const one = join(root, `${placement}-one`);
    const { adapter: expected, swept } = await runHere(job, one);
    t.match(expected, /^[0-9a-f]{64}$/);
    t.same(swept, phases);
    t.notMatch(readFileSync(join(one, 'metrics.jsonl'), 'utf8'), 'sweep');
    t.equal(await run(job, join(root, `${placement}-two`), 2), expected, 'with two compute processes');
    const killed = join(root, `${placement}-killed`);
    t.equal(await run(job, killed, 1, 2), null, 'killed during the first alignment');
    t.equal(await run(job, killed, 2, 3), null, 'and during the training of clients');
    t.equal(await run(job, killed, 1), expected, 'and resumed');
  });
}
