import { printable } from '../../crds/facts/printable.ts';
import type { Command } from 'commander';
import { Option } from 'commander';
import type { EvaluateOptions } from '../run/evaluate-model.ts';
import { day, notEmpty, positiveInteger, providerOption } from './arguments.ts';

interface Flags extends Pick<
  EvaluateOptions,
  'model' | 'data' | 'task' | 'batchSize' | 'maxNewTokens' | 'format' | 'template' | 'provider'
> {
  adapter?: string;
  limit?: number;
  sequenceLength?: number;
  date?: string;
  threads?: number;
  force?: true;
  json?: boolean;
}

/**
 * Those of the API. They are written out here, and held to it by a test, as the schema takes long to load for a
 * command's help.
 */
export const choices = {
  task: ['loss', 'gsm8k', 'qa', 'tokens'],
  format: ['Auto', 'Alpaca', 'Dolly', 'GSM8K', 'QuestionAnswer', 'Chat', 'Tokenized'],
  template: ['Alpaca', 'Chat', 'None'],
} as const;
export const defaults = { format: 'Auto', template: 'Alpaca', batchSize: 8, maxNewTokens: 256 } as const;

export function register(program: Command): void {
  program
    .command('eval')
    .summary('score a model, with or without an adapter, on a data file')
    .description(
      'Scores a model, with or without an adapter, on a data file. The loss is the mean over all labelled tokens.',
    )
    .requiredOption('--model <dir>', 'Hugging Face directory of the model', notEmpty)
    .option('--adapter <dir>', 'PEFT adapter to put on it', notEmpty)
    .requiredOption('--data <file>', 'records: .json or .jsonl, either with .gz', notEmpty)
    .addOption(
      new Option('--task <name>', 'what the accuracy is; loss has none').choices(choices.task).makeOptionMandatory(),
    )
    .option('--limit <n>', 'only the first n records', positiveInteger)
    .addOption(
      new Option('--format <name>', 'what a record looks like').choices(choices.format).default(defaults.format),
    )
    .addOption(
      new Option('--template <name>', 'how a record becomes text').choices(choices.template).default(defaults.template),
    )
    .option('--sequence-length <n>', 'cut longer sequences, in tokens (default: what the model takes)', positiveInteger)
    .option('--date <day>', 'what a chat template takes for today, as 2026-11-30 (default: today, in UTC)', day)
    .option('--batch-size <n>', 'answers generated at once', positiveInteger, defaults.batchSize)
    .option('--max-new-tokens <n>', 'longest answer to generate, in tokens', positiveInteger, defaults.maxNewTokens)
    .option('--threads <n>', 'threads that compute (default: all cores)', positiveInteger)
    .addOption(providerOption())
    .option('--force', 'score although memory will not suffice by the plan')
    .option('--json', 'print {n, tokens, loss, accuracy?, f1?, date?} as JSON')
    .addHelpText(
      'after',
      `
Tasks:
  loss    loss alone
  gsm8k   the number of a generated answer
  qa      exact match of a generated answer with an accepted one
  tokens  share of labelled tokens that are the most likely ones

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
  date,
  threads,
  force,
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
    date: date ?? null,
    threads: threads ?? null,
    force: force ?? false,
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
  const told = result.date === undefined ? '' : `, on the day ${result.date}`;
  stdout.write(
    `${accuracy}${f1}loss ${formatLoss(result.loss)}  (${formatCount(result.n)} records, ${formatCount(result.tokens)} labelled tokens${told})\n`,
  );
}
