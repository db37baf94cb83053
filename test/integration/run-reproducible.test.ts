// The same job gives the same adapter to the bit: run twice, with one compute process or three, or killed and resumed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { randomStream } from '../../worker/random.ts';
import { readReportJson } from '../../worker/report/report-files.ts';
import { writeTinyModel } from '../support/tiny-model.ts';

const KILLS = 20;
const FEDBIOT = fileURLToPath(new URL('../../worker/fedbiot.ts', import.meta.url));
const seed = Number(process.env['FEDBIOT_TEST_SEED'] ?? Date.now() % 2 ** 31);

const root = t.testdir();
const job = join(root, 'job.yaml');
writeTinyModel(join(root, 'model'));
writeRecords('train', 40);
writeRecords('public', 12);
writeRecords('eval', 5);
// Includes every random choice, and all state that a phase leaves for the next.
writeFileSync(
  job,
  `apiVersion: fedbiot.io/v1alpha1
kind: FedBiOTJob
metadata: { name: reproducible }
spec:
  seed: 3
  model: { uri: model }
  data: { train: { uri: train.jsonl }, public: { uri: public.jsonl }, eval: { uri: eval.jsonl } }
  emulator:
    layerSelection: Importance
    alignment: { initialSteps: 8, stepsPerRound: 3, batchSize: 2, sequenceLength: 192, klWeight: 0.5 }
  adapter: { layers: 2, lora: { rank: 4, dropout: 0.1 } }
  federation:
    rounds: 5
    clients: 5
    clientsPerRound: 4
    dropoutRate: 0.2
    local: { steps: 6, batchSize: 2, gradientAccumulation: 2, sequenceLength: 192, proximalWeight: 0.1 }
  evaluation: { task: qa, everyRounds: 2, maxNewTokens: 4 }
`,
);

function writeRecords(name: string, count: number): void {
  const random = randomStream(5, name);
  const records = Array.from({ length: count }, () => {
    const [a, b] = [random.below(50), random.below(50)];
    return { question: `How much is ${a} plus ${b}?`, answers: [String(a + b)] };
  });
  writeFileSync(join(root, `${name}.jsonl`), records.map((record) => `${JSON.stringify(record)}\n`).join(''));
}

/** Milliseconds after the run has begun to compute, and whether its compute processes are killed with it. */
interface Kill {
  readonly after: number;
  readonly group: boolean;
}

/** Runs or continues the job in a separate process. Returns how long it computed, or null if it was killed. */
async function run(
  out: string,
  { workers = 1, kill = null }: { workers?: number; kill?: Kill | null } = {},
): Promise<number | null> {
  const resume = existsSync(out) ? ['--resume'] : [];
  const child = spawn(
    process.execPath,
    [FEDBIOT, 'run', job, '--out', out, '--json', '--threads', '1', '--workers', String(workers), ...resume],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    },
  );
  const exit = once(child, 'exit');
  const stop = new AbortController();
  let began = NaN;
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (!Number.isNaN(began) || !line.startsWith('{"event":"run"')) return;
    began = performance.now();
    if (kill === null) return;
    const strike = () => {
      try {
        process.kill(kill.group ? -child.pid! : child.pid!, 'SIGKILL');
      } catch (error) {
        // It had just finished.
        if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
      }
    };
    setTimeout(kill.after, null, { signal: stop.signal }).then(strike, () => undefined);
  });
  const [code, signal]: unknown[] = await exit;
  stop.abort();
  if (signal === 'SIGKILL') return null;
  if (code !== 0) throw new Error(`the run ended with code ${String(code)}`);
  return performance.now() - began;
}

/** All outputs of a run except measurements. */
async function resultOf(out: string) {
  const { rounds, plan, cost, ...told } = await readReportJson(out);
  return {
    ...told,
    layers: plan.layers,
    rounds: rounds.map(({ seconds: _, cost, ...round }) => ({
      ...round,
      tokens: [cost?.server.tokens, cost?.clients.tokens],
    })),
    moved: cost?.bytes,
    savings: cost?.savings,
    steps: eventsOf(out, 'step'),
  };
}

/** Every step, once. Clients that train in parallel report in any order. */
function eventsOf(out: string, kind: string): string[] {
  return readFileSync(join(out, 'metrics.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`{"event":"${kind}"`))
    .map((line) => line.replace(/,"ms":[^,}]+/, ''))
    .sort();
}

t.test(
  `killed at ${KILLS} random moments and resumed, or spread over three processes: the same adapter (FEDBIOT_TEST_SEED=${seed})`,
  { timeout: 600_000 },
  async (t) => {
    const milliseconds = await run(join(root, 'first'));
    const expected = await resultOf(join(root, 'first'));
    t.ok(
      expected.steps.length > 100 && expected.rounds.length === 5,
      `${expected.steps.length} steps in ${Math.round(milliseconds!)} ms`,
    );

    await run(join(root, 'second'));
    t.strictSame(await resultOf(join(root, 'second')), expected, 'run twice');
    await run(join(root, 'three'), { workers: 3 });
    t.strictSame(await resultOf(join(root, 'three')), expected, 'with three compute processes');

    const random = randomStream(seed, 'kill');
    let kills = 0;
    for (let attempt = 0; kills < KILLS; attempt++) {
      const out = join(root, `killed-${attempt}`);
      const before = kills;
      for (let finished = false; !finished;) {
        const kill = kills < KILLS ? { after: random.uniform() * milliseconds!, group: random.below(2) === 0 } : null;
        finished = (await run(out, { workers: 1 + random.below(3), kill })) !== null;
        if (!finished) kills++;
      }
      t.strictSame(await resultOf(out), expected, `killed ${kills - before} times`);
    }
  },
);
