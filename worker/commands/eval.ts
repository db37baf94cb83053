import { printable } from '../../crds/facts/printable.ts';
import { RECORD_FORMATS, TEMPLATES } from '../../crds/facts/records.ts';
import { TASK_NAMES, TASKS } from '../../crds/facts/tasks.ts';
import type { Command } from 'commander';
import { Option } from 'commander';
import type { EvaluateOptions } from '../run/evaluate-model.ts';
import { userCache } from '../files/user-cache.ts';
import { day, notEmpty, positiveInteger, providerOption } from './arguments.ts';

interface Flags extends Pick<
  EvaluateOptions,
  'model' | 'data' | 'task' | 'batchSize' | 'maxNewTokens' | 'format' | 'template' | 'provider' | 'computeWeights'
> {
  adapter?: string;
  limit?: number;
  sequenceLength?: number;
  date?: string;
  threads?: number;
  force?: true;
  verify?: true;
  json?: boolean;
}

/**
 * The defaults of the API, repeated here because loading the schema is too slow for a command's help. A test keeps the
 * two in step.
 */
export const defaults = {
  format: 'Auto',
  template: 'Alpaca',
  batchSize: 8,
  maxNewTokens: 256,
  computeWeights: 'AsStored',
} as const;

export function register(program: Command): void {
  program
    .command('eval')
    .summary('score a model, with or without an adapter, on a data file')
    .description(
      'Scores a model, with or without an adapter, on a data file. The loss is the mean over all labelled tokens.',
    )
    .requiredOption('--model <dir>', 'Hugging Face directory of the model', notEmpty)
    .option('--adapter <dir>', 'PEFT adapter to apply to it', notEmpty)
    .requiredOption('--data <file>', 'records: .json or .jsonl, either with .gz', notEmpty)
    .addOption(
      new Option('--task <name>', 'how accuracy is measured; loss has no accuracy')
        .choices(TASK_NAMES)
        .makeOptionMandatory(),
    )
    .option('--limit <n>', 'only the first n records', positiveInteger)
    .addOption(new Option('--format <name>', 'format of the records').choices(RECORD_FORMATS).default(defaults.format))
    .addOption(new Option('--template <name>', 'prompt template').choices(TEMPLATES).default(defaults.template))
    .option(
      '--sequence-length <n>',
      'truncate longer sequences, in tokens (default: the model’s maximum)',
      positiveInteger,
    )
    .option('--date <day>', 'date that a chat template uses as today, such as 2026-11-30 (default: today, in UTC)', day)
    .option('--batch-size <n>', 'answers generated in one batch', positiveInteger, defaults.batchSize)
    .option('--max-new-tokens <n>', 'longest answer to generate, in tokens', positiveInteger, defaults.maxNewTokens)
    .addOption(
      new Option(
        '--compute-weights <format>',
        'multiply by the projections as stored, or in 8 bits, which are kept in the user’s cache',
      )
        .choices(['AsStored', 'Int8'])
        .default(defaults.computeWeights),
    )
    .option('--threads <n>', 'compute threads (default: all cores)', positiveInteger)
    .addOption(providerOption())
    .option('--force', 'evaluate even if the memory estimate exceeds the available memory')
    .option('--verify', 'read the model’s files again, even if their content is remembered')
    .option('--json', 'print {n, tokens, loss, accuracy?, f1?, date?} as JSON')
    .addHelpText(
      'after',
      `
Tasks, and what each measures in addition to the loss:
${TASK_NAMES.map((name) => `  ${name.padEnd(6)}  ${TASKS[name]}`).join('\n')}

Examples:
  $ fedbiot eval --model models/smollm2-135m --data gsm8k_test.jsonl --task loss --json
  $ fedbiot eval --model models/smollm2-135m --adapter runs/job/adapter --data gsm8k_test.jsonl --task gsm8k --limit 200`,
    )
    .action(evalCommand);
}

async function evalCommand({
  adapter,
  limit,
  sequenceLength,
  date: today,
  threads,
  force,
  verify,
  json = false,
  ...rest
}: Flags): Promise<void> {
  const [{ evaluateModel }, { formatCount, formatLoss, formatPercent }] = await Promise.all([
    import('../run/evaluate-model.ts'),
    import('../report/format.ts'),
  ]);
  const { stdout, stderr } = process;
  const live = stderr.isTTY === true;
  const result = await evaluateModel({
    ...rest,
    adapter: adapter ?? null,
    limit: limit ?? null,
    sequenceLength: sequenceLength ?? null,
    date: today ?? null,
    threads: threads ?? null,
    force: force ?? false,
    verify: verify ?? false,
    cache: userCache(),
    onWarning: (message) => stderr.write(`warning: ${printable(message)}\n`),
    onProgress: (done: number, total: number) => {
      if (live) stderr.write(`\r${formatCount(done)}/${formatCount(total)}`);
    },
  });
  if (live) stderr.write('\r\x1b[K');
  if (json) {
    stdout.write(`${JSON.stringify(result)}\n`);
    return;
  }
  const accuracy = result.accuracy === undefined ? '' : `accuracy ${formatPercent(result.accuracy)}  `;
  const f1 = result.f1 === undefined ? '' : `F1 ${formatPercent(result.f1)}  `;
  const date = result.date === undefined ? '' : `, chat template date ${result.date}`;
  stdout.write(
    `${accuracy}${f1}loss ${formatLoss(result.loss)}  (${formatCount(result.n)} records, ${formatCount(result.tokens)} labelled tokens${date})\n`,
  );
}
