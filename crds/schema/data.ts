import Type from 'typebox';
import { RECORD_FORMATS, TEMPLATES } from '../facts/records.ts';
import { boolean, choice, FILE_URL, number, object, string } from '../json-schema/fields.ts';
import type { Rule } from '../json-schema/fields.ts';

/** A rule, because the error for a pattern would only quote the pattern. */
const DAY: Rule = {
  rule: "self.matches('^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-9]))$')",
  message: 'it must be a day, as 2026-11-30',
};

const source = (what: string) =>
  object(what, {
    uri: string(
      'File of records: .json (a list), .jsonl (one record per line) or either with .gz. A path (relative to the manifest’s ' +
        'folder, on a cluster to its volume), a file:///… URL or hf://datasets/org/name@revision/path.',
      {
        minLength: 1,
        maxLength: 4096,
        rules: [
          FILE_URL,
          {
            rule: "!self.contains('://') || self.startsWith('file:///') || self.startsWith('hf://')",
            message: 'must be a path, a file:///… URL or hf://datasets/org/name@revision/path',
          },
          {
            rule: "!self.startsWith('hf://') || self.matches('^hf://datasets/[^/@]+/[^/@]+(@[^/@]+)?/.+$')",
            message:
              'a file of a Hugging Face data set is written hf://datasets/org/name/path or hf://datasets/org/name@revision/path',
          },
        ],
      },
    ),
    format: choice(
      'Record format. Alpaca: instruction, input, output. Dolly: instruction, context, response, category. GSM8K: question, ' +
        'answer. QuestionAnswer: question, answers. Chat: messages. Tokenized: input_ids, labels. Auto: detected from the fields of the first record.',
      RECORD_FORMATS,
      { default: 'Auto' },
    ),
    template: choice(
      'Prompt template. Alpaca: the Alpaca prompt, the response, end of sequence. Chat: the tokenizer’s chat template. ' +
        'None: the fields as they are.',
      TEMPLATES,
      { default: 'Alpaca' },
    ),
  });

export const Source = source('Records.');

export const Partition = object('How the training records are partitioned over the clients.', {
  kind: choice(
    'IID: uniformly at random. Dirichlet: the records of each value of `field` are split by a draw from Dirichlet(alpha). ' +
      'Meta: all records of a value of `field` go to one client.',
    ['IID', 'Dirichlet', 'Meta'],
    { default: 'IID' },
  ),
  alpha: number('Dirichlet: concentration parameter; smaller values make clients more heterogeneous.', {
    default: 0.5,
    exclusiveMinimum: 0,
    maximum: 1e6,
  }),
  field: string('Dirichlet and Meta: the record field to partition by.', {
    default: 'category',
    minLength: 1,
    maxLength: 253,
  }),
});

export const Data = object('Training, public and evaluation data.', {
  train: source('The clients’ private records, split among them by `partition`.'),
  public: Type.Optional(
    source(
      'The server’s public records, for alignment and for layer selection by importance. Required if either is used.',
    ),
  ),
  eval: Type.Optional(source('Held-out records for evaluation. If omitted, no evaluation is made.')),
  date: Type.Optional(
    string(
      'Current date for chat templates that write it into a conversation (`strftime_now`), such as 2026-11-30. Default: the day, ' +
        'in UTC, on which the job was created or `fedbiot run` was started; a job keeps its date when it resumes.',
      { maxLength: 10, rules: [DAY] },
    ),
  ),
  shuffle: boolean('Whether batches are drawn in an order shuffled by the seed, or in file order.', {
    default: true,
  }),
  partition: Partition,
});
