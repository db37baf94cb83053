// A model's files are read once and remembered; a model that changes is not used, and nothing is lost.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import { readSafetensorsHeader } from '../../worker/safetensors/safetensors.ts';
import { writeLlama } from '../support/llama-shape.ts';
import { runTinyJob, writeSums, writeTinyJob } from '../support/tiny-job.ts';

const PROGRAM = fileURLToPath(new URL('../../worker/fedbiot.ts', import.meta.url));
/** A model whose file is large enough to be remembered. */
const SHAPE = { hidden: 256, intermediate: 512, layers: 2, heads: 4, keyValueHeads: 4 };

const root = t.testdir();
const model = join(root, 'model');
const weights = join(model, 'model.safetensors');
const data = join(root, 'eval.jsonl');
writeSums(data, 1);
await writeLlama(model, SHAPE);

const evaluation = ['eval', '--model', model, '--data', data, '--task', 'loss', '--threads', '1', '--json'];

function fedbiot(cache: string, ...args: readonly string[]) {
  return spawnSync(process.execPath, [PROGRAM, ...args], {
    encoding: 'utf8',
    env: { ...process.env, XDG_CACHE_HOME: cache },
  });
}

function scored(t: Test, cache: string, ...more: readonly string[]): unknown {
  const { status, stdout, stderr } = fedbiot(cache, ...evaluation, ...more);
  t.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

t.test('an evaluation remembers the content of a model; --verify reads it again', (t) => {
  const cache = t.testdir({});
  const result = scored(t, cache);
  const folder = join(cache, 'fedbiot', 'verified');
  const [name = '', ...others] = readdirSync(folder);
  t.same(others, []);
  const entry = join(folder, name);
  const intact = readFileSync(entry, 'utf8');
  t.same(scored(t, cache), result);
  t.same(scored(t, cache, '--verify'), result);

  // What a bit that the disk lost would look like: the file's state is the same, and its content is not.
  writeFileSync(entry, intact.replace(/"sha256":"[0-9a-f]{64}"/, `"sha256":"${'0'.repeat(64)}"`));
  t.same(scored(t, cache), result, 'it is not read');
  const { status, stderr } = fedbiot(cache, ...evaluation, '--verify');
  t.equal(status, 2);
  t.match(stderr, `error: ${weights} is not what it was: its content changed, but its size and its times did not\n`);
  t.match(stderr, /hint: The disk or its memory may be damaged/);
  t.same(scored(t, cache), result);
  t.equal(readFileSync(entry, 'utf8'), intact, 'it is read and remembered again');
  t.end();
});

t.test('NaN and infinity in a large file are found when it has changed, and are remembered', (t) => {
  const cache = t.testdir({});
  scored(t, cache);
  const copy = join(cache, 'copy');
  execFileSync('cp', ['-r', model, copy]);
  const { offset, bytes } = readSafetensorsHeader(weights).tensors.get('model.layers.1.mlp.up_proj.weight')!;
  const content = readFileSync(weights);
  content.writeUInt16LE(0x7e00, offset + bytes - 2);
  writeFileSync(join(copy, 'model.safetensors'), content);
  for (const time of ['found', 'remembered']) {
    const { status, stderr } = fedbiot(cache, ...evaluation.with(2, copy));
    t.equal(status, 2);
    t.match(stderr, /weight model\.layers\.1\.mlp\.up_proj\.weight in .* is NaN or infinite at \[511, 255\]/, time);
  }
  t.end();
});

t.test(
  'a cache on a disk that is full or read-only changes nothing',
  { skip: process.getuid?.() !== 0 && 'NOT CHECKED: only root can mount' },
  (t) => {
    const disk = join(root, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=3', 'fedbiot', disk]);
    t.teardown(() => execFileSync('umount', [disk]));
    const full = fedbiot(disk, ...evaluation);
    t.same([full.status, full.stderr], [0, '']);
    t.same(readdirSync(join(disk, 'fedbiot', 'verified')), [], 'it has no room for an entry');
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    const locked = fedbiot(disk, ...evaluation);
    t.same([locked.status, locked.stderr, locked.stdout], [0, '', full.stdout]);
    t.end();
  },
);

t.test('a run whose model is replaced ends at once, and resumes when the model is back', async (t) => {
  const folder = t.testdir({});
  const job = writeTinyJob(folder);
  const out = join(folder, 'run');
  const file = join(folder, 'model', 'model.safetensors');
  copyFileSync(file, join(folder, 'kept'));
  await t.rejects(
    runTinyJob(job, out, {
      onEvent: ({ event }) => {
        if (event !== 'round') return;
        const other = readFileSync(file);
        other[other.byteLength - 1]! ^= 1;
        writeFileSync(`${file}.new`, other);
        renameSync(`${file}.new`, file);
      },
    }),
    { name: 'UserError', message: `${file} was changed while it was used`, hint: /--resume/ },
  );
  const checkpoints = readdirSync(join(out, 'checkpoints'));
  await t.rejects(runTinyJob(job, out, { resume: true }), { message: /computed from another model/ });
  renameSync(join(folder, 'kept'), file);
  const resumed = await runTinyJob(job, out, { resume: true });
  const whole = await runTinyJob(job, join(folder, 'whole'));
  t.ok(checkpoints.length > 0);
  t.match(resumed, { outcome: 'succeeded' });
  t.same(adapterIn(out), adapterIn(join(folder, 'whole')));
  t.match(whole, { outcome: 'succeeded' });
});

function adapterIn(run: string): Buffer {
  return readFileSync(join(run, 'adapter', 'adapter_model.safetensors'));
}
