// A rounding to 4 bits that is stopped goes on with the next layer, and its files have the same bytes.
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { sequenceOf } from '../../worker/data/sequence.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { quantizeEmulator } from '../../worker/model/quantize.ts';
import { randomStream } from '../../worker/random.ts';
import type { LiveEvent } from '../../worker/report/display-state.ts';
import { readJob } from '../../worker/run/job-manifest.ts';
import { federateModel } from '../../worker/run/job-model.ts';
import { onPublicData } from '../../worker/run/on-public-data.ts';
import { readSafetensorsHeader } from '../../worker/safetensors/safetensors.ts';
import { testCompute } from '../support/test-compute.ts';
import { runTinyJob, writeTinyJob } from '../support/tiny-job.ts';
import { WHOLE_BLOCKS } from '../support/tiny-model.ts';

const EMULATOR = '{ weights: Int4, layerDropRate: 0.4, alignment: { initialSteps: 2, sequenceLength: 192 } }';
const MATRICES = 7;
const OPTIONS = { modelSha256: 'x', checkUnchanged: () => {}, held: 'auto', product: 'Float32' } as const;

const random = randomStream(1, 'texts');
const publicSequences = Array.from({ length: 40 }, () => {
  const ids = Array.from({ length: 20 + random.below(20) }, () => random.below(500));
  return sequenceOf(ids, ids);
});

/** Rounds the emulator of a tiny model, of layers 0, 2 and 4. */
async function roundings(t: Test) {
  const root = t.testdir({});
  const { spec } = readJob(writeTinyJob(root, { emulator: EMULATOR, adapter: '{ layers: 1 }' }, WHOLE_BLOCKS));
  const directory = await openModelDirectory(join(root, 'model'));
  const model = await federateModel(directory, spec, () => Promise.reject(new Error('uniform')));
  const { emulator } = model.split;
  const compute = testCompute();
  t.teardown(() => compute.close());

  /** Rounds into a folder, and stops when so many matrices are rounded. Returns the numbers of those that are told. */
  const round = async (cache: string, stopAt = Infinity): Promise<number[]> => {
    const stop = new AbortController();
    const { signal } = stop;
    const told: number[] = [];
    const onRounded = (done: number, total: number) => {
      t.equal(total, MATRICES * emulator.length);
      told.push(done);
      if (done === stopAt) stop.abort(new Error('stopped'));
    };
    const { rounding } = onPublicData({ compute, publicSequences, seed: 0, signal, onMeasured: () => {}, onRounded });
    const written = quantizeEmulator(model, 'Int4', join(root, cache), { ...OPTIONS, signal }, rounding(model));
    if (stopAt === Infinity) await written;
    else await t.rejects(written, { message: 'stopped' });
    return told;
  };
  const folderOf = (cache: string) => join(root, cache, readdirSync(join(root, cache))[0]!);
  const filesOf = (cache: string) =>
    Object.fromEntries(
      readdirSync(folderOf(cache)).map((name) => [name, sha256(readFileSync(join(folderOf(cache), name)))]),
    );
  return { emulator, round, folderOf, filesOf };
}

const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

t.test('it goes on with the next layer, from the states before it', async (t) => {
  const { emulator, round, folderOf, filesOf } = await roundings(t);
  t.same(emulator, [0, 2, 4]);
  t.same(await round('whole'), from(1, 21));
  const whole = filesOf('whole');
  t.same(Object.keys(whole), ['layer-0.safetensors', 'layer-2.safetensors', 'layer-4.safetensors']);

  t.same(await round('stopped', 9), from(1, 9), 'stopped in the second layer');
  t.same(await round('stopped', 10), from(8, 10), 'which begins again');
  const states = join(folderOf('stopped'), 'unfinished.safetensors');
  t.same(readSafetensorsHeader(states).metadata, { layer: '1' });
  t.same(await round('stopped', 15), from(8, 15), 'stopped in the third');
  t.same(readSafetensorsHeader(states).metadata, { layer: '3' });
  t.same(await round('stopped'), from(15, 21));
  t.same(filesOf('stopped'), whole, 'the same bytes, and no states are left');
  t.same(await round('stopped'), [], 'all is there');

  await round('changed', 15);
  const kept = join(folderOf('changed'), 'unfinished.safetensors');
  const content = readFileSync(kept);
  writeFileSync(kept, content.fill(0, content.byteLength / 2));
  await round('changed');
  t.not(filesOf('changed')['layer-4.safetensors'], whole['layer-4.safetensors'], 'the states are those of the file');
});

t.test('it needs no states, and takes none that are damaged or come too late', async (t) => {
  const { round, folderOf, filesOf } = await roundings(t);
  await round('whole');
  const whole = filesOf('whole');
  const damages: Readonly<Record<string, (folder: string, states: string) => void>> = {
    missing: (_, states) => rmSync(states),
    short: (_, states) => truncateSync(states, 1000),
    late: (folder) => rmSync(join(folder, 'layer-0.safetensors')),
  };
  for (const [what, damage] of Object.entries(damages)) {
    await round(what, 15);
    const folder = folderOf(what);
    damage(folder, join(folder, 'unfinished.safetensors'));
    await round(what);
    t.same(filesOf(what), whole, what);
  }
});

t.test('a run that is stopped while it rounds has the same adapter when it begins again', async (t) => {
  const root = t.testdir({});
  const job = writeTinyJob(root, { emulator: EMULATOR }, WHOLE_BLOCKS);
  const run = async (out: string, stopAt = Infinity) => {
    const stop = new AbortController();
    const told: number[] = [];
    const onEvent = (event: LiveEvent) => {
      if (event.event !== 'quantizing') return;
      told.push(event.done);
      if (event.done === stopAt) stop.abort();
    };
    const result = await runTinyJob(job, join(root, out), { signal: stop.signal, onEvent });
    return { told, adapter: result.outcome === 'interrupted' ? null : result.report.adapterSha256 };
  };
  const { told, adapter } = await run('whole');
  t.match(adapter, /^[0-9a-f]{64}$/);
  t.equal((await run('stopped', told.length - 1)).adapter, null);
  const again = await run('stopped');
  t.same(again, { told: told.slice(-MATRICES), adapter });
});
