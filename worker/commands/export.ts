import { printable } from '../../crds/facts/printable.ts';
import type { Command } from 'commander';
import { userCache } from '../files/user-cache.ts';
import { notEmpty } from './arguments.ts';

export function register(program: Command): void {
  program
    .command('export')
    .summary('copy a run’s adapter, or merge it into the model')
    .description(
      'Copies a run’s adapter as a PEFT directory; with --merge, writes a Hugging Face directory of the full model with the adapter merged in.',
    )
    .argument('<run>', 'folder written by `fedbiot run --out`', notEmpty)
    .requiredOption('--to <dir>', 'folder to write', notEmpty)
    .option('--merge', 'write the full model with the adapter merged in')
    .addHelpText(
      'after',
      `
Examples:
  $ fedbiot export runs/job --to adapters/job
  $ fedbiot export runs/job --to models/job --merge`,
    )
    .action(exportCommand);
}

async function exportCommand(run: string, { to, merge = false }: { to: string; merge?: boolean }): Promise<void> {
  const [{ exportAdapter }, { formatBytes }] = await Promise.all([
    import('../run/export-adapter.ts'),
    import('../report/format.ts'),
  ]);
  const { checkpoint, rounds, ofRounds, files } = await exportAdapter({ run, to, merge, cache: userCache() });
  if (checkpoint !== null)
    process.stderr.write(
      `the run has not finished: this is the adapter of checkpoint ${checkpoint}, after ${rounds} of ${ofRounds} rounds\n`,
    );
  for (const { name, bytes } of files)
    process.stdout.write(`${printable(to)}/${printable(name)}  ${formatBytes(bytes)}\n`);
}
