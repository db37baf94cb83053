import type { Command } from 'commander';
import { UserError } from '../../crds/facts/user-error.ts';
import { printable } from '../../crds/facts/printable.ts';
import { notEmpty } from './arguments.ts';
import { EXIT } from '../../crds/facts/exit-codes.ts';
import { describeFailure } from './failure.ts';

export function register(program: Command): void {
  program
    .command('validate')
    .summary('check manifests against the schema and its rules')
    .description(
      'Checks manifests as the Kubernetes API server would, with the same schema and rules, and volumes as the operator would, and lists every problem.',
    )
    .argument('<job...>', 'manifests of FedBiOTJobs, YAML or JSON', (path: string, before: readonly string[] = []) => [
      ...before,
      notEmpty(path),
    ])
    .addHelpText(
      'after',
      `
Examples:
  $ fedbiot validate job.yaml
  $ fedbiot validate examples/*.yaml

Exits with code 2 when any manifest has a problem.`,
    )
    .action(validateCommand);
}

async function validateCommand(paths: readonly string[], _: object, command: Command): Promise<void> {
  const { readJob } = await import('../run/job-manifest.ts');
  for (const path of paths) {
    try {
      readJob(path, { forCluster: true });
      process.stdout.write(`${printable(path)}: ok\n`);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      process.stderr.write(describeFailure(error, command.parent?.version() ?? '').text);
      process.exitCode = EXIT.invalid;
    }
  }
}
