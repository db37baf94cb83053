import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { randomStream } from '../../worker/random.ts';
import { job } from '../support/quadratic-child.ts';
import { digest, metricsOf, runQuadratic } from '../support/quadratic-run.ts';

const KILLS = 20;
const CHILD = fileURLToPath(new URL('../support/quadratic-child.ts', import.meta.url));
const seed = Number(process.env['FEDBIOT_TEST_SEED'] ?? Date.now() % 2 ** 31);

/** Continues the run, and kills it some milliseconds after its n-th moment. Null if it was killed. */
async function continueRun(
  folder: string,
  kill: { moments: number; milliseconds: number } | null,
): Promise<string | null> {
  const child = spawn(process.execPath, [CHILD, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  // Not 'exit': the last output may arrive after it.
  const ended = once(child, 'close');
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const before = output.length;
    output += text;
    if (kill !== null && before < kill.moments && output.length >= kill.moments) {
      setTimeout(() => child.kill('SIGKILL'), kill.milliseconds);
    }
  });
  const [code, signal]: unknown[] = await ended;
  if (signal === 'SIGKILL') return null;
  if (code !== 0) throw new Error(`the run ended with code ${String(code)}`);
  return output.replaceAll('.', '');
}

t.test(
  `killed at ${KILLS} random moments and resumed: the same adapter (FEDBIOT_TEST_SEED=${seed})`,
  { timeout: 300_000 },
  async (t) => {
    const root = t.testdir();
    const expected = digest(await runQuadratic(join(root, 'whole'), job));
    // Results of two workers arrive in any order, so the lines of metrics.jsonl are compared as a set.
    const lines = (folder: string) =>
      metricsOf(folder)
        .map((line) => JSON.stringify(line))
        .sort();
    const metrics = lines(join(root, 'whole'));

    const random = randomStream(seed, 'kill');
    let kills = 0;
    for (let run = 0; kills < KILLS; run++) {
      const folder = join(root, `run-${run}`);
      let result: string | null = null;
      while (result === null) {
        const kill = kills < KILLS ? { moments: 1 + random.below(60), milliseconds: random.uniform() * 4 } : null;
        result = await continueRun(folder, kill);
        if (result === null) kills++;
      }
      t.equal(result, expected, `run ${run}, ${kills} kills so far`);
      t.strictSame(lines(folder), metrics, 'no event is lost or told twice');
    }
  },
);
