// Files in a run's folder that a resumed run, an export or a report reads: checkpoints, manifest, metrics and report.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { CheckpointStore } from '../../worker/federation/checkpoint.ts';
import { CorruptCheckpoint, decodeSnapshot, encodeSnapshot } from '../../worker/federation/snapshot.ts';
import type { SavedSnapshot } from '../../worker/federation/snapshot.ts';
import { manifestOf } from '../../worker/run/run-directory.ts';
import { begin } from '../../worker/federation/state.ts';
import { accumulate, emptyHistory, reportOf } from '../../worker/report/accumulate.ts';
import { renderReport } from '../../worker/report/html.ts';
import { LossCurves } from '../../worker/report/loss-curves.ts';
import { readLossCurves, readReportJson, writeReportJson } from '../../worker/report/report-files.ts';
import { readEvents } from '../../worker/run/recorder.ts';
import { Refused } from '../../crds/facts/refusal.ts';
import { initialLora, layouts, settings } from '../support/quadratic-federation.ts';
import { runQuadratic } from '../support/quadratic-run.ts';
import { sampleEvents, sampleFacts } from '../support/sample-run.ts';
import { fuzz } from './harness.ts';
import { mutatedBytes, mutatedJson } from './mutations.ts';

const origin = { identity: 'identity', date: null };
const lora = initialLora();
const alignment = {
  step: 4,
  losses: [0.1, 1 / 3],
  parameters: lora.emulator,
  moments: [lora.emulator.map((m) => m / 3), new Float32Array(3)],
};
const saved: SavedSnapshot = {
  metricsBytes: 100,
  snapshot: { state: begin(2), lora, alignment, refusals: { late: 1 } },
};
const files = encodeSnapshot(saved, layouts, origin);
const fileOf = (name: string) => files.get(name) ?? new Uint8Array();

/** A checkpoint with arbitrary content and matching digests: only then is the content read. */
function decoded(name: string, bytes: Uint8Array): void {
  let saved: SavedSnapshot;
  try {
    saved = decodeSnapshot(new Map([...files, [name, bytes]]), layouts, origin.identity);
  } catch (error) {
    throw error instanceof CorruptCheckpoint || error instanceof Refused ? new UserError(error.message) : error;
  }
  encodeSnapshot(saved, layouts, origin);
  const { state } = saved.snapshot;
  if (!Number.isSafeInteger(state.round) || state.round < 1) throw new Error(`round ${state.round} was accepted`);
}

t.test('the state of a checkpoint', (t) =>
  fuzz(t, {
    name: 'states',
    inputs: mutatedJson(JSON.parse(Buffer.from(fileOf('state.json')).toString())),
    runs: 600,
    attempt: (json) => decoded('state.json', Buffer.from(json)),
  }),
);

for (const name of ['lora.safetensors', 'align.safetensors']) {
  t.test(`${name} of a checkpoint`, (t) =>
    fuzz(t, { name, inputs: mutatedBytes(fileOf(name)), runs: 800, attempt: (bytes) => decoded(name, bytes) }),
  );
}

t.test('a checkpoint on the disk', async (t) => {
  const root = t.testdir();
  const good = join(root, 'good');
  const store = (folder: string) => new CheckpointStore(folder, { layouts, origin, keep: 2 });
  await store(good).save(saved);
  const [checkpoint = ''] = readdirSync(good);
  const inputs = fc
    .constantFrom(...readdirSync(join(good, checkpoint)))
    .chain((name) => mutatedBytes(readFileSync(join(good, checkpoint, name))).map((bytes) => ({ name, bytes })));
  const attempt = async ({ name, bytes }: { name: string; bytes: Uint8Array }) => {
    const folder = join(root, 'odd');
    rmSync(folder, { recursive: true, force: true });
    cpSync(good, folder, { recursive: true });
    writeFileSync(join(folder, checkpoint, name), bytes);
    const found = await store(folder).load(() => undefined);
    if (found === null || JSON.stringify(found) !== JSON.stringify(saved)) throw new Error('it is not what was saved');
  };
  await fuzz(t, { name: 'files', inputs, runs: 400, attempt });
});

t.test('manifest, metrics and report', async (t) => {
  const root = t.testdir();
  const whole = join(root, 'whole');
  await runQuadratic(whole, settings({ rounds: 2 }));
  await writeReportJson(whole, reportOf(sampleEvents(2).reduce(accumulate, emptyHistory), sampleFacts));
  const odd = join(root, 'odd');
  cpSync(whole, odd, { recursive: true });
  const subjects = {
    'manifest.json': () => manifestOf(join(odd, 'manifest.json')),
    'metrics.jsonl': async () => (readEvents(join(odd, 'metrics.jsonl')), readLossCurves(odd)),
    'report.json': async () => renderReport(await readReportJson(odd), new LossCurves(), '1'),
  };
  for (const [name, read] of Object.entries(subjects)) {
    const right = readFileSync(join(whole, name));
    const json = name.endsWith('.json')
      ? mutatedJson(JSON.parse(right.toString())).map((text) => Buffer.from(text))
      : mutatedBytes(right);
    const attempt = (bytes: Uint8Array) => {
      writeFileSync(join(odd, name), bytes);
      return read();
    };
    await fuzz(t, { name, inputs: fc.oneof(json, mutatedBytes(right)), runs: 500, attempt });
  }
});
