#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EXIT } from '../crds/facts/exit-codes.ts';
import { describeFailure } from './commands/failure.ts';
import { tolerateOutputErrors } from './commands/output.ts';
import { register as registerEval } from './commands/eval.ts';
import { register as registerExport } from './commands/export.ts';
import { register as registerPlan } from './commands/plan.ts';
import { register as registerReport } from './commands/report.ts';
import { registerClient, registerServer } from './commands/role.ts';
import { register as registerRun } from './commands/run.ts';
import { register as registerValidate } from './commands/validate.ts';

const version = packageVersion();

/**
 * With a handler, a write beyond the shell's file size limit fails with an error. Without one, the signal ends the
 * process without a message.
 */
process.on('SIGXFSZ', () => undefined);

tolerateOutputErrors(fail);
try {
  await commandLine().parseAsync();
} catch (error) {
  // Commander has already printed its output: an error, the help or the version.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.succeeded : EXIT.invalid;
  else fail(error);
}

function fail(error: unknown): void {
  const { text, code } = describeFailure(error, version);
  process.stderr.write(text);
  process.exitCode = code;
}

function commandLine(): Command {
  // Set before the commands are added: they inherit it.
  const program = new Command('fedbiot').exitOverride();
  program
    .description('Federated fine-tuning of large language models without the full model (FedBiOT).')
    .version(version, '-V, --version')
    .showHelpAfterError('(use --help for details)')
    .addHelpText(
      'after',
      `
Examples:
  $ fedbiot run examples/quickstart.yaml --out runs/quickstart
  $ fedbiot plan job.yaml
  $ fedbiot run --help

Exit codes: ${EXIT.succeeded} ok, ${EXIT.failed} failure, ${EXIT.invalid} bad usage or input, ${EXIT.outOfMemory} out of memory, ${EXIT.interrupted} interrupted.`,
    );
  const commands = [
    registerRun,
    registerValidate,
    registerPlan,
    registerEval,
    registerExport,
    registerReport,
    registerServer,
    registerClient,
  ];
  for (const register of commands) register(program);
  return program;
}

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  if (typeof manifest !== 'object' || manifest === null || !('version' in manifest)) return 'unknown';
  return String(manifest.version);
}
