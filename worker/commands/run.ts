import type { Command } from 'commander';
import { UserError } from '../../crds/facts/user-error.ts';
import type { RunMetrics } from '../metrics/run-metrics.ts';
import type { RunResult } from '../run/run-rounds.ts';
import { Option } from 'commander';
import type { Provider } from '../engine/compute-protocol.ts';
import { notEmpty, portNumber, positiveInteger, providerOption } from './arguments.ts';
import { EXIT } from '../../crds/facts/exit-codes.ts';
import { userCache } from '../files/user-cache.ts';
import { listenForInterrupts } from './interrupts.ts';

interface Flags {
  out: string;
  resume?: true;
  workers?: number;
  threads?: number;
  provider: Provider;
  force?: true;
  verify?: true;
  trace?: string;
  metricsPort?: number;
  metricsHost?: string;
  json?: true;
  quiet?: true;
}

export function register(program: Command): void {
  program
    .command('run')
    .summary('run a job, server and clients, in this process')
    .description('Runs a job, server and clients, in one process on this machine.')
    .argument('<job>', 'manifest of a FedBiOTJob, YAML or JSON', notEmpty)
    .requiredOption('-o, --out <dir>', 'folder for adapter, metrics, report and checkpoints', notEmpty)
    .option('--resume', 'resume the interrupted run in that folder')
    .option('--workers <n>', 'compute processes (default: chosen for this machine)', positiveInteger)
    .option('--threads <n>', 'threads of each compute process (default: chosen for this machine)', positiveInteger)
    .addOption(providerOption())
    .option('--force', 'run even if the estimate exceeds the available memory or the free disk space')
    .option('--verify', 'read the model’s files again, even if their content is remembered')
    .option('--trace <dir>', 'write batches and LoRA snapshots to this folder, to replay the run elsewhere', notEmpty)
    .option('--metrics-port <n>', 'port for Prometheus metrics during the run; 0: any free port', portNumber)
    .option('--metrics-host <address>', 'address for the metrics (default: 127.0.0.1)', notEmpty)
    .addOption(new Option('--json', 'print every event as a line of JSON').conflicts('quiet'))
    .option('-q, --quiet', 'print only warnings and errors')
    .addHelpText(
      'after',
      `
Examples:
  $ fedbiot run examples/quickstart.yaml --out runs/quickstart
  $ fedbiot run job.yaml --out runs/job --resume        continue after Ctrl-C or a crash
  $ fedbiot run job.yaml --out runs/job --json | jq 'select(.event == "round")'
  $ fedbiot run job.yaml --out runs/job --metrics-port 9464      at http://127.0.0.1:9464/metrics

Ctrl-C finishes the current step, writes a checkpoint and exits with code 130.`,
    )
    .action(runCommand);
}

async function runCommand(job: string, flags: Flags): Promise<void> {
  const [{ createDisplay, displayMode }, { summaryText }, { runJobInProcess }] = await Promise.all([
    import('../report/display.ts'),
    import('../report/summary.ts'),
    import('../run/embedded-run.ts'),
  ]);
  const { stdout, stderr } = process;
  const mode = displayMode(
    { json: flags.json ?? false, quiet: flags.quiet ?? false },
    stderr.isTTY === true,
    process.env['TERM'],
  );
  const now = () => performance.now() / 1000;
  const display = createDisplay({ mode, color: !process.env['NO_COLOR'], stdout, stderr, now });
  const ticking = setInterval(display.tick, 1000);
  const stop = new AbortController();
  const release = listenForInterrupts(stop, display.note);
  let metrics: RunMetrics | null = null;
  let result: RunResult;
  try {
    metrics = await serveMetrics(job, flags);
    if (metrics !== null) display.note(`metrics: ${metrics.url}`);
    result = await runJobInProcess({
      job,
      out: flags.out,
      resume: flags.resume ?? false,
      workers: flags.workers ?? null,
      threads: flags.threads ?? null,
      provider: flags.provider,
      force: flags.force ?? false,
      verify: flags.verify ?? false,
      cache: userCache(),
      trace: flags.trace ?? null,
      signal: stop.signal,
      onEvent: (event) => {
        display.show(event);
        metrics?.hear(event);
      },
      ...(metrics === null ? {} : { onResume: metrics.recall }),
    });
  } finally {
    await metrics?.close();
    release();
    clearInterval(ticking);
    display.close();
  }
  if (result.outcome === 'interrupted') {
    stderr.write(
      result.round === null
        ? 'interrupted before training began; run the same command again\n'
        : `interrupted in round ${result.round}; to continue, run the same command with --resume\n`,
    );
    process.exitCode = EXIT.interrupted;
  } else if (mode === 'live' || mode === 'plain') {
    stdout.write(summaryText(result.report, flags.out));
  }
}

/** Serves the run's metrics if a port is given. The metrics code is loaded only then. */
async function serveMetrics(job: string, { metricsHost, metricsPort }: Flags): Promise<RunMetrics | null> {
  if (metricsPort === undefined) {
    if (metricsHost === undefined) return null;
    throw new UserError('--metrics-host is given without --metrics-port', { hint: 'Give both, or neither.' });
  }
  const [{ serveRunMetrics }, { readJob }] = await Promise.all([
    import('../metrics/run-metrics.ts'),
    import('../run/job-manifest.ts'),
  ]);
  return serveRunMetrics(readJob(job), { host: metricsHost ?? '127.0.0.1', port: metricsPort });
}
