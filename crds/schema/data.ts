import Type from 'typebox';
import { boolean, choice, FILE_URL, number, object, string } from '../json-schema/fields.ts';
import type { Rule } from '../json-schema/fields.ts';

/** A rule in the place of a pattern, which would be told as it is. */
const DAY: Rule = {
  rule: "self.matches('^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-9]))$')",
  message: 'it must be a day, as 2026-11-30',
};

const source = (what: string) =>
  object(what, {
    uri: string(
      'File of records: .json (a list), .jsonl (a record a line) or either with .gz. A path (a relative one starts at the manifest’s ' +
        'folder), a file:///… URL or hf://datasets/org/name@revision/path.',
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
      'What a record looks like. Alpaca: instruction, input, output. Dolly: instruction, context, response, category. GSM8K: question, ' +
        'answer. QuestionAnswer: question, answers. Chat: messages. Tokenized: input_ids, labels. Auto: told by the first record’s fields.',
      ['Auto', 'Alpaca', 'Dolly', 'GSM8K', 'QuestionAnswer', 'Chat', 'Tokenized'],
      { default: 'Auto' },
    ),
    template: choice(
      'How a record becomes text. Alpaca: the Alpaca prompt, the response, end of sequence. Chat: the tokenizer’s chat template. ' +
        'None: the fields as they are.',
      ['Alpaca', 'Chat', 'None'],
      { default: 'Alpaca' },
    ),
  });

export const Source = source('Records.');

export const Partition = object('How the training records are dealt out to the clients.', {
  kind: choice(
    'IID: at random, evenly. Dirichlet: each value of `field` is split over the clients by a draw from Dirichlet(alpha). ' +
      'Meta: each value of `field` goes to one client.',
    ['IID', 'Dirichlet', 'Meta'],
    { default: 'IID' },
  ),
  alpha: number('Dirichlet: concentration; the smaller, the more the clients differ.', {
    default: 0.5,
    exclusiveMinimum: 0,
    maximum: 1e6,
  }),
  field: string('Dirichlet and Meta: the record’s field that is split by.', {
    default: 'category',
    minLength: 1,
    maxLength: 253,
  }),
});

export const Data = object('Who learns from what.', {
  train: source('The clients’ private records; they are dealt out by `partition`.'),
  public: Type.Optional(
    source(
      'The server’s public records, for alignment and for layer selection by importance. Required where either happens.',
    ),
  ),
  eval: Type.Optional(source('Held-out records both models are scored on. Without them nothing is evaluated.')),
  date: Type.Optional(
    string(
      'The day that chat templates take for today, in those that write it into a conversation (`strftime_now`), as 2026-11-30. By default ' +
        'the day the job was made or `fedbiot run` began, in UTC; it is kept for as long as the job lasts.',
      { maxLength: 10, rules: [DAY] },
    ),
  ),
  shuffle: boolean('Whether batches are drawn in an order shuffled by the seed, or in the files’ order.', {
    default: true,
  }),
  partition: Partition,
});
