import type { Command } from 'commander';
import { notEmpty } from './arguments.ts';

export function register(program: Command): void {
  program
    .command('plan')
    .summary('estimate the layers, sizes, traffic and memory of a job')
    .description(
      'Prints, without starting the job, which layers the emulator keeps, the size of each part, the bytes transferred per round, and whether this machine has enough memory.',
    )
    .argument('<job>', 'manifest of a FedBiOTJob, YAML or JSON', notEmpty)
    .option('--json', 'print JSON; sizes in bytes')
    .addHelpText(
      'after',
      `
Examples:
  $ fedbiot plan job.yaml
  $ fedbiot plan job.yaml --json | jq .memory`,
    )
    .action(planCommand);
}

async function planCommand(job: string, { json = false }: { json?: boolean }): Promise<void> {
  const [{ estimateManifest }, { planText }] = await Promise.all([
    import('../run/estimate-job.ts'),
    import('../report/summary.ts'),
  ]);
  const plan = await estimateManifest(job);
  process.stdout.write(json ? `${JSON.stringify(plan, null, 2)}\n` : planText(plan));
}
