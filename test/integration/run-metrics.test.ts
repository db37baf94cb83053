// `fedbiot run --metrics-port`: a real run, scraped while it runs. At the end, its series agree with its report.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import type { RunReport } from '../../crds/facts/report.ts';
import type { RoundReport } from '../../crds/facts/round.ts';
import { checkReport } from '../../worker/report/report-schema.ts';
import { Scrape } from '../support/scrape.ts';
import { writeTinyJob } from '../support/tiny-job.ts';

const FEDBIOT = fileURLToPath(new URL('../../worker/fedbiot.ts', import.meta.url));
const ROUNDS = 4;

const tinyJob = (folder: string) =>
  writeTinyJob(folder, {
    federation: `{ rounds: ${ROUNDS}, clients: 3, quorum: 2, local: { steps: 6, sequenceLength: 192, optimizer: { learningRate: 0.01 } } }`,
    evaluation: '{ task: loss, everyRounds: 1 }',
  });

/** A run in a separate process. */
function start(t: Test, args: readonly string[], nodeArgs: readonly string[] = []) {
  const child = spawn(process.execPath, [...nodeArgs, FEDBIOT, 'run', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  });
  t.teardown(() => child.kill('SIGKILL'));
  const said = { stderr: '' };
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text));
  const ended = once(child, 'close').then(() => child.exitCode);
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  /** The URL that it prints for its metrics. */
  const url = async () => {
    for (;;) {
      const found = /^metrics: (http:\S+)$/m.exec(said.stderr)?.[1];
      if (found !== undefined) return found;
      if (isOver()) throw new Error(`it ended without metrics:\n${said.stderr}`);
      await delay(10);
    }
  };
  return { said, ended, isOver, url, stop: () => child.kill('SIGINT') };
}

/** All scrapes until the run ends, or until one of them suffices. */
async function scrapes(
  { url, isOver }: ReturnType<typeof start>,
  isEnough: (scrape: Scrape) => boolean = () => false,
): Promise<Scrape[]> {
  const from = await url();
  const taken: Scrape[] = [];
  while (!isOver()) {
    const text = await fetch(from).then(
      (response) => response.text(),
      () => null,
    );
    const scrape = text === null ? null : new Scrape(text);
    if (scrape !== null) taken.push(scrape);
    if (scrape !== null && isEnough(scrape)) break;
    await delay(20);
  }
  return taken;
}

function reportIn(folder: string): RunReport {
  const report = checkReport(JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')));
  if ('problem' in report) throw new Error(report.problem);
  return report;
}

const sum = (rounds: readonly RoundReport[], amount: (round: RoundReport) => number) =>
  rounds.reduce((total, round) => total + amount(round), 0);
const isNear = (a: number | undefined, b: number | undefined) =>
  a !== undefined && b !== undefined && Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b));

/**
 * A scrape must agree with the report about the rounds that had ended then. Counters that change within a round may be
 * ahead.
 */
function agrees(t: Test, scrape: Scrape, { rounds, plan }: RunReport): void {
  const done = scrape.value('fedbiot_round') ?? 0;
  const [ended, begun] = [rounds.slice(0, done), rounds.slice(0, done + 1)];
  const last = ended.at(-1);
  const next = rounds[done];
  const holds = (condition: boolean, what: string) => {
    if (!condition) t.fail(`round ${done}: ${what}`);
  };
  const is = (value: number, name: string, labels: Readonly<Record<string, string>> = {}) => {
    const found = scrape.value(name, labels);
    holds(isNear(found, value), `${name} ${JSON.stringify(labels)} is ${found}, not ${value}`);
  };
  is(
    sum(ended, ({ bytes }) => bytes.down),
    'fedbiot_delta_bytes_total',
    { direction: 'down' },
  );
  is(
    sum(ended, ({ bytes }) => bytes.up),
    'fedbiot_delta_bytes_total',
    { direction: 'up' },
  );
  for (const [role, of] of [
    ['server', 'server'],
    ['client', 'clients'],
  ] as const) {
    is(
      sum(ended, ({ cost }) => cost?.[of].cpuSeconds ?? Number.NaN),
      'fedbiot_cpu_seconds_total',
      { role },
    );
    is(
      sum(ended, ({ cost }) => cost?.[of].gpuSeconds ?? Number.NaN),
      'fedbiot_gpu_seconds_total',
      { role },
    );
    const tokens = scrape.value('fedbiot_trained_tokens_total', { role }) ?? -1;
    const [least, most] = [ended, begun].map((some) => sum(some, ({ cost }) => cost?.[of].tokens ?? Number.NaN));
    holds(
      tokens >= (least ?? Number.NaN) && tokens <= (most ?? Number.NaN),
      `${least} ≤ ${tokens} ≤ ${most} tokens of the ${role}`,
    );
  }
  for (const phase of ['align', 'local', 'aggregate', 'evaluate'] as const) {
    is(ended.length, 'fedbiot_round_duration_seconds_count', { phase });
    is(
      sum(ended, ({ seconds }) => seconds[phase]),
      'fedbiot_round_duration_seconds_sum',
      { phase },
    );
  }
  is(
    plan.layers.dropped.length / (plan.layers.dropped.length + plan.layers.emulator.length),
    'fedbiot_emulator_layer_dropout_ratio',
  );
  // An evaluation is emitted before its round ends.
  const gaps = [last, next].flatMap((round) =>
    round?.evaluation === undefined ? [] : [round.evaluation.adapEmu.loss - round.evaluation.adapFu.loss],
  );
  const gap = scrape.value('fedbiot_alignment_gap');
  holds(gap === undefined ? done === 0 : gaps.some((expected) => isNear(gap, expected)), `the gap is ${gap}`);
  if (last !== undefined) is(last.localLoss, 'fedbiot_loss', { phase: 'local' });
}

const isRunning = (scrape: Scrape) => scrape.value('fedbiot_job_phase', { phase: 'Running' }) === 1;

t.test('a run exports metrics while it runs', async (t) => {
  const folder = t.testdir();
  const out = join(folder, 'out');
  const began = Date.now() / 1000;
  const run = start(t, [tinyJob(folder), '--out', out, '--threads', '1', '--metrics-port', '0']);
  const taken = await scrapes(run);
  t.equal(await run.ended, 0, run.said.stderr);
  t.match(run.said.stderr, /^metrics: http:\/\/127\.0\.0\.1:\d+\/metrics$/m);

  const running = taken.filter(isRunning);
  const report = reportIn(out);
  t.equal(report.rounds.length, ROUNDS);
  for (const scrape of running) agrees(t, scrape, report);
  const rounds = new Set(running.map((scrape) => scrape.value('fedbiot_round')));
  t.ok(rounds.size >= 3, `rounds that were seen: ${[...rounds].join(', ')}`);
  const samples = taken.flatMap(({ samples }) => samples);
  const foreign = samples.filter(({ labels }) => labels['namespace'] !== 'default' || labels['job'] !== 'tiny');
  t.same(foreign, [], 'all say of which job they are');
  t.same(
    samples.filter(({ name, value }) => name.startsWith('fedbiot_') && !Number.isFinite(value)),
    [],
    'all are numbers',
  );
  const last = running.at(-1);
  for (const [name, expected] of [
    ['fedbiot_rounds', ROUNDS],
    ['fedbiot_quorum_clients', 2],
    ['fedbiot_job_info', 1],
  ] as const) {
    t.equal(last?.value(name), expected, name);
  }
  const heard = last?.value('fedbiot_last_progress_timestamp_seconds') ?? 0;
  t.ok(heard >= began && heard <= Date.now() / 1000);
  t.ok(last?.types.has('nodejs_eventloop_lag_seconds'));
});

t.test('a resumed run continues its counters', async (t) => {
  const folder = t.testdir();
  const out = join(folder, 'out');
  const args = [tinyJob(folder), '--out', out, '--threads', '1', '--metrics-port', '0'];
  const interrupted = start(t, args);
  await scrapes(interrupted, (scrape) => (scrape.value('fedbiot_round') ?? 0) >= 1);
  interrupted.stop();
  t.equal(await interrupted.ended, 130, interrupted.said.stderr);
  const resumed = start(t, [...args, '--resume']);
  const running = (await scrapes(resumed)).filter(isRunning);
  t.equal(await resumed.ended, 0, resumed.said.stderr);

  const { rounds } = reportIn(out);
  const reached = running[0]?.value('fedbiot_round') ?? 0;
  t.ok(reached >= 1, `it goes on after round ${reached}`);
  for (const scrape of running) {
    const done = scrape.value('fedbiot_round') ?? 0;
    t.equal(
      scrape.value('fedbiot_delta_bytes_total', { direction: 'up' }),
      sum(rounds.slice(0, done), ({ bytes }) => bytes.up),
      'bytes of before count',
    );
    t.equal(
      scrape.value('fedbiot_round_duration_seconds_count', { phase: 'local' }),
      done - reached,
      'durations are those of this process',
    );
  }
});

t.test('a port in use, or a missing port, is reported before anything begins', async (t) => {
  const folder = t.testdir();
  const out = join(folder, 'out');
  const job = tinyJob(folder);
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const address = other.address();
  const port = String(address !== null && typeof address === 'object' ? address.port : 0);
  const cases = [
    [
      ['--metrics-port', port],
      new RegExp(
        `^error: metrics cannot be served on port ${port} of 127\\.0\\.0\\.1: it is taken\nhint: Give another --metrics-port`,
      ),
    ],
    [
      ['--metrics-port', '0', '--metrics-host', '192.0.2.1'],
      /^error: metrics cannot be served on port 0 of 192\.0\.2\.1: .*\nhint: Check --metrics-host/,
    ],
    [['--metrics-host', '127.0.0.1'], /^error: --metrics-host is given without --metrics-port/],
    [['--metrics-port', '70000'], /It must be a port, from 0 to 65535/],
  ] as const;
  for (const [args, message] of cases) {
    const run = start(t, [job, '--out', out, ...args]);
    t.equal(await run.ended, 2, args.join(' '));
    t.match(run.said.stderr, message);
  }
  t.notOk(existsSync(out));
});

t.test('a run without metrics loads nothing that serves them', async (t) => {
  const folder = t.testdir();
  const recorder = `
    import { registerHooks } from 'node:module';
    registerHooks({ load: (url, context, next) => (process.stderr.write('loads ' + url + '\\n'), next(url, context)) });`;
  const nodeArgs = ['--import', `data:text/javascript,${encodeURIComponent(recorder)}`];
  const run = start(t, [writeTinyJob(folder), '--out', join(folder, 'out'), '--threads', '1'], nodeArgs);
  t.equal(await run.ended, 0, run.said.stderr);
  t.match(run.said.stderr, /loads \S+\/worker\/run\/embedded-run\.ts/, 'the recorder works');
  t.notMatch(run.said.stderr, /loads \S+(?:\/prom-client\/|\/fastify\/|\/worker\/metrics\/)/);
});
