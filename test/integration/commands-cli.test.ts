import type { SpawnSyncReturns } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { EXIT } from '../../crds/facts/exit-codes.ts';
import { accumulate, emptyHistory, reportOf } from '../../worker/report/accumulate.ts';
import { MetricsLog } from '../../worker/report/metrics-log.ts';
import { writeReportJson } from '../../worker/report/report-files.ts';
import { sampleEvents, sampleFacts } from '../support/sample-run.ts';

const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const commands = ['run', 'validate', 'plan', 'eval', 'export', 'report', 'server', 'client'];

function node(...args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });
}

const fedbiot = (...args: readonly string[]) => node(path('worker/fedbiot.ts'), ...args);

t.test('every command has help with examples', async (t) => {
  const overview = fedbiot('--help');
  t.equal(overview.status, 0);
  for (const command of commands) {
    t.match(overview.stdout, new RegExp(`^  ${command} `, 'm'), 'in the overview');
    const { status, stdout, stderr } = fedbiot(command, '--help');
    t.equal(status, 0, command);
    t.match(stdout, /^Usage: fedbiot /);
    t.match(stdout, new RegExp(`Examples?:\n  \\$ fedbiot ${command} `), 'an example');
    t.equal(stderr, '');
  }
});

t.test('help is fast: it does not load the engine, the schema or the charts', async (t) => {
  const recorder = `
    import { registerHooks } from 'node:module';
    registerHooks({ load: (url, context, next) => (process.stderr.write(url + '\\n'), next(url, context)) });`;
  const { status, stderr } = node(
    '--import',
    `data:text/javascript,${encodeURIComponent(recorder)}`,
    path('worker/fedbiot.ts'),
    'run',
    '--help',
  );
  t.equal(status, 0);
  const packages = new Set([...stderr.matchAll(/\/node_modules\/((?:@[^/]+\/)?[^/]+)\//g)].map((match) => match[1]));
  t.ok(packages.delete('commander'));
  // tap passes its instruments to child processes in this variable.
  t.same(
    [...packages].filter((name) => /onnx|typebox|echarts|huggingface|cel-js|yaml/.test(name ?? '')),
    [],
  );
  t.notMatch(stderr, /\/worker\/(?:engine|model|federation)\//);
});

t.test('the version is the package’s', async (t) => {
  const manifest: unknown = JSON.parse(readFileSync(path('package.json'), 'utf8'));
  t.match(manifest, { version: fedbiot('--version').stdout.trim() });
});

t.test('bad usage exits with 2 and says what is wrong', async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /Usage: fedbiot/],
    [['rnu'], /unknown command 'rnu'[^]*Did you mean run\?/],
    [['run', 'job.yaml'], /required option '-o, --out <dir>' not specified/],
    [['run'], /'--out|missing required argument 'job'|required option/],
    [['run', 'job.yaml', '--out', 'x', '--provider', 'tpu'], /Allowed choices are cpu, cuda/],
    [['run', 'job.yaml', '--out', 'x', '--threads', '1.5'], /'1\.5' is invalid\. It must be a whole number/],
    [['run', 'job.yaml', '--out', 'x', '--json', '--quiet'], /cannot be used with/],
    [['run', 'job.yaml', '--out', 'x', '--rounds', '3'], /unknown option '--rounds'/],
    [['eval', '--model', 'm', '--data', 'd', '--task', 'poetry'], /Allowed choices are loss, gsm8k, qa, tokens/],
    [['export', 'run'], /required option '--to <dir>' not specified/],
    [['validate'], /missing required argument 'job'/],
  ];
  for (const [args, message] of cases) {
    const { status, stdout, stderr } = fedbiot(...args);
    t.equal(status, 2, `fedbiot ${args.join(' ')}`);
    t.match(stderr, message);
    t.equal(stdout, '', 'nothing on the data stream');
  }
});

t.test('validate reads every manifest and lists every problem', async (t) => {
  const head = 'apiVersion: fedbiot.io/v1alpha1\nkind: FedBiOTJob\n';
  const sources =
    'model: {uri: model}, data: {train: {uri: train.jsonl}, public: {uri: public.jsonl}}, federation: {rounds: 1, clients: 2}';
  const folder = t.testdir({
    'good.yaml': `${head}metadata: {name: good}\nspec: {${sources}, evaluation: {everyRounds: 0}}\n`,
    'bad.yaml': `${head}spec:\n  sed: 3\n`,
    'torn.yaml': 'a: [1\n',
    'shared.yaml': `${head}metadata: {name: shared}\nspec:\n  model: {uri: model}\n  data: {train: {uri: train.jsonl}, public: {uri: public.jsonl}}\n  evaluation: {everyRounds: 0}\n  volumes:\n    clientData: {persistentVolumeClaim: {claimName: shared-output}}\n`,
  });
  const good = join(folder, 'good.yaml');
  const { status, stdout, stderr } = fedbiot(
    'validate',
    join(folder, 'missing.yaml'),
    join(folder, 'bad.yaml'),
    join(folder, 'torn.yaml'),
    good,
  );
  t.equal(status, 2);
  t.equal(stdout, `${good}: ok\n`);
  t.match(stderr, /error: .*missing\.yaml is missing/);
  t.match(stderr, /error: .*bad\.yaml is not a valid FedBiOTJob:\n/);
  t.match(stderr, /metadata: is required/);
  t.match(stderr, /line 4: spec\.sed: unknown field; did you mean .*seed/);
  t.match(stderr, /error: .*torn\.yaml is not/);
  t.notMatch(stderr, /\n {4}at /, 'no stack');
  t.equal(fedbiot('validate', good).status, 0);
  const shared = fedbiot('validate', join(folder, 'shared.yaml'));
  t.equal(shared.status, 2);
  t.match(shared.stderr, /line 9: spec\.volumes\.clientData: is the same volume as spec\.volumes\.output/);
});

t.test('report renders the page again from the run’s folder', async (t) => {
  const folder = t.testdir();
  const missing = fedbiot('report', folder);
  t.equal(missing.status, 2);
  t.match(missing.stderr, /^error: cannot read .*report\.json: there is no such file.*\nhint: /);

  const events = sampleEvents(4);
  const log = new MetricsLog(join(folder, 'metrics.jsonl'));
  for (const event of events) log.append(event);
  log.close();
  await writeReportJson(folder, reportOf(events.reduce(accumulate, emptyHistory), sampleFacts));
  const { status, stdout } = fedbiot('report', folder);
  t.equal(status, 0);
  t.equal(stdout, `${join(folder, 'report.html')}\n`);
  const page = readFileSync(join(folder, 'report.html'), 'utf8');
  t.match(page, /Alignment loss by step/);
  fedbiot('report', folder);
  t.equal(readFileSync(join(folder, 'report.html'), 'utf8'), page, 'the same page from the same run');
});

t.test('a reader that exits early is not a failure', async (t) => {
  const child = spawn(process.execPath, [path('worker/fedbiot.ts'), '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = await once(child, 'close');
  t.equal(code, 0);
  t.equal(stderr, '');
});

t.test('a Node that cannot run TypeScript hands over to the project’s own', async (t) => {
  const manifest: unknown = JSON.parse(readFileSync(path('package.json'), 'utf8'));
  const launched = node('--no-experimental-strip-types', path('worker/launch.js'), '--version');
  t.equal(launched.status, 0, launched.stderr);
  t.match(manifest, { version: launched.stdout.trim() });
  t.equal(node('--no-experimental-strip-types', path('worker/launch.js'), 'rnu').status, 2, 'exit codes pass through');
});

t.test('a full heap is reported with a hint and the exit code for memory', async (t) => {
  const fill = "if (process.argv[1]?.endsWith('fedbiot.ts')) for (const all = []; ; ) all.push({});";
  const small = {
    ...process.env,
    NODE_OPTIONS: `--max-old-space-size=64 --import="data:text/javascript,${encodeURIComponent(fill)}"`,
  };
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--no-experimental-strip-types', path('worker/launch.js'), '--help'],
    { encoding: 'utf8', env: small },
  );
  t.equal(status, EXIT.outOfMemory);
  t.match(
    stderr,
    /\nerror: the program was aborted, most likely because Node’s heap was full\nhint: .*NODE_OPTIONS=--max-old-space-size=/,
  );
});

t.test('the first signal requests a stop, the second ends the process', async (t) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    for (const kind of ['obedient', 'stubborn']) {
      const child = spawn(process.execPath, [path('test/support/interruptible.ts'), kind], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      // Not 'exit': output may arrive after it.
      const ended = once(child, 'close');
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
        if (kind === 'stubborn') child.kill(signal);
      });
      await once(child.stdout, 'data');
      child.kill(signal);
      const [code, killedBy] = await ended;
      t.equal(killedBy, null, `${signal} is handled`);
      t.equal(code, kind === 'stubborn' ? 130 : 0);
      t.equal(stderr, 'finishing the step, writing a checkpoint; press again to stop now\n');
    }
  }
});
