import { printable } from '../../crds/facts/printable.ts';
import type { Command } from 'commander';
import { notEmpty } from './arguments.ts';

export function register(program: Command): void {
  program
    .command('report')
    .summary('render a run’s report.html again')
    .description('Renders report.html again from a run’s report.json and metrics.jsonl.')
    .argument('<run>', 'folder written by `fedbiot run --out`', notEmpty)
    .addHelpText(
      'after',
      `
Example:
  $ fedbiot report runs/quickstart`,
    )
    .action(reportCommand);
}

async function reportCommand(run: string, _: object, command: Command): Promise<void> {
  const { readReportJson, writeReportHtml } = await import('../report/report-files.ts');
  const { path, damagedSteps } = await writeReportHtml(run, await readReportJson(run), command.parent?.version() ?? '');
  if (damagedSteps === null)
    process.stderr.write('warning: the folder has no metrics.jsonl: the page does not show the losses of steps\n');
  else if (damagedSteps > 0)
    process.stderr.write(`warning: ${damagedSteps} lines of metrics.jsonl are damaged: the page omits these steps\n`);
  process.stdout.write(`${printable(path)}\n`);
}
