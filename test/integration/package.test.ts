// The package that `npm pack` creates, installed without the sources.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import t from 'tap';
import { run } from '../cluster/run.ts';
import { writeTinyJob } from '../support/tiny-job.ts';

const ROOT = join(import.meta.dirname, '../..');
// With the Node of the tests, whatever npm is installed.
const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}` };
const NO_NETWORK = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTCACHED/;

// Not below the checkout, whose packages would be found.
const folder = mkdtempSync(join(tmpdir(), 'fedbiot-package-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const packed = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: ROOT, env });
const [{ filename, files }]: [{ filename: string; files: { path: string }[] }] = JSON.parse(
  packed.slice(packed.indexOf('[\n')),
);
writeFileSync(join(folder, 'package.json'), '{ "private": true }');
const { status, stderr } = spawnSync(
  'npm',
  ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', filename],
  { cwd: folder, env, encoding: 'utf8' },
);
if (status !== 0 && !NO_NETWORK.test(stderr)) throw new Error(stderr);
const skip = status !== 0 && `SKIPPED: npm cannot fetch the package's dependencies: ${stderr.trim().split('\n')[0]}`;

const npx = (...args: string[]) => spawnSync('npx', ['fedbiot', ...args], { cwd: folder, env, encoding: 'utf8' });
const checkout = (...args: string[]) =>
  spawnSync(process.execPath, [join(ROOT, 'worker/launch.js'), ...args], { cwd: folder, encoding: 'utf8' });

t.test('it holds the program, its licence and the examples, and no source', async (t) => {
  const others = files
    .map(({ path }) => path)
    .filter((path) => !/^(dist\/(crds|worker)\/.*\.js|examples\/.*\.(yaml|json|jsonl|safetensors|md))$/.test(path));
  t.strictSame(others.sort(), ['LICENSE', 'README.md', 'dist/package.json', 'package.json', 'worker/launch.js']);
  t.notOk(existsSync(join(ROOT, 'dist')), 'the checkout has one program, its sources');
});

t.test('its commands print the same as those of the checkout', { skip }, async (t) => {
  for (const args of [
    ['--help'],
    ['--version'],
    ['validate', 'node_modules/fedbiot/examples/quickstart.yaml'],
    ['rnu'],
  ]) {
    const [ours, theirs] = [checkout(...args), npx(...args)];
    t.strictSame([theirs.status, theirs.stdout], [ours.status, ours.stdout], args.join(' '));
  }
});

t.test('an older Node starts the Node that npm installs with the package', { skip }, async (t) => {
  // The file that the install script of the package `node` downloads.
  const bin = join(folder, 'node_modules/node/bin');
  t.ok(existsSync(dirname(bin)), 'a peer dependency');
  mkdirSync(bin, { recursive: true });
  symlinkSync(process.execPath, join(bin, 'node'));
  const launcher = join(folder, 'node_modules/fedbiot/worker/launch.js');
  for (const args of [['--version'], ['rnu']]) {
    const older = spawnSync(process.execPath, ['--no-experimental-strip-types', launcher, ...args], {
      encoding: 'utf8',
    });
    const ours = checkout(...args);
    t.strictSame([older.status, older.stdout, older.stderr], [ours.status, ours.stdout, ours.stderr], args.join(' '));
  }
});

t.test('a run gives the adapter that the checkout gives, to the byte', { skip }, async (t) => {
  const job = writeTinyJob(folder);
  const adapterOf = (program: typeof npx, out: string) => {
    const { status, stderr } = program('run', job, '--out', out, '--quiet');
    t.equal(status, 0, stderr);
    return createHash('sha256')
      .update(readFileSync(join(folder, out, 'adapter/adapter_model.safetensors')))
      .digest('hex');
  };
  t.equal(adapterOf(npx, 'packed'), adapterOf(checkout, 'checkout'));
});
