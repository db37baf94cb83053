import type { Command } from 'commander';

export function register(program: Command): void {
  program
    .command('report')
    .summary('render a run’s report.html again')
    .description('Renders report.html again from a run’s report.json and metrics.jsonl.')
    .argument('<run>', 'folder that `fedbiot run --out` wrote')
    .addHelpText(
      'after',
      `
Example:
  $ fedbiot report runs/quickstart`,
    )
    .action(reportCommand);
}

async function reportCommand(run: string, _: object, command: Command): Promise<void> {
  const [{ readReportJson, writeReportHtml }, { printable }] = await Promise.all([
    import('../report/report-files.ts'),
    import('../report/format.ts'),
  ]);
  const path = await writeReportHtml(run, await readReportJson(run), command.parent?.version() ?? '');
  process.stdout.write(`${printable(path)}\n`);
}
