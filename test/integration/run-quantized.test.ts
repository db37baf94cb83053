// A job with an emulator in 8 bits gives the same adapter to the bit, with one compute process or three, also if it is
// interrupted and resumed; and another adapter than with the emulator as stored.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { runJobInProcess } from '../../worker/run/embedded-run.ts';
import { writeTinyJob } from '../support/tiny-job.ts';

const EMULATOR = 'layerDropRate: 0.5, alignment: { initialSteps: 4, stepsPerRound: 2, sequenceLength: 192 }';

for (const placement of ['Last', 'Both'])
  t.test(`placement ${placement}`, { timeout: 120_000 }, async (t) => {
    const root = t.testdir({});
    const adapter = `{ placement: ${placement}, layers: 1, lora: { rank: 4 } }`;
    const int8 = writeTinyJob(root, { emulator: `{ weights: Int8, ${EMULATOR} }`, adapter });
    const run = async (
      job: string,
      out: string,
      { workers = 1, resume = false, stopAt = Infinity }: { workers?: number; resume?: boolean; stopAt?: number } = {},
    ) => {
      const stop = new AbortController();
      let steps = 0;
      const result = await runJobInProcess({
        job,
        out: join(root, out),
        cache: null,
        verify: false,
        resume,
        workers,
        threads: 1,
        provider: 'cpu',
        force: false,
        trace: null,
        signal: stop.signal,
        onEvent: ({ event }) => {
          if (event === 'localStep' && ++steps === stopAt) stop.abort();
        },
      });
      return result.outcome === 'interrupted' ? null : result.report.adapterSha256;
    };
    const adapterSha256 = await run(int8, 'first');
    t.match(adapterSha256, /^[0-9a-f]{64}$/);
    t.equal(await run(int8, 'three', { workers: 3 }), adapterSha256, 'with three compute processes');
    t.equal(await run(int8, 'stopped', { stopAt: 3 }), null, 'interrupted');
    t.equal(await run(int8, 'stopped', { resume: true }), adapterSha256, 'and resumed');
    t.equal(readdirSync(join(root, 'stopped', 'cache')).filter((name) => name.endsWith('-int8')).length, 1);
    const stored = writeTinyJob(root, { emulator: `{ ${EMULATOR} }`, adapter });
    t.not(await run(stored, 'stored'), adapterSha256);
  });
