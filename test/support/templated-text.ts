import { fileURLToPath } from 'node:url';
import { interpretRecords } from '../../worker/data/record-format.ts';
import type { Example, TextExample } from '../../worker/data/example.ts';
import { loadTokenizer } from '../../worker/tokenizer/tokenizer.ts';
import type { Tokenizer } from '../../worker/tokenizer/tokenizer.ts';

export const family = (name: string) =>
  loadTokenizer(fileURLToPath(new URL(`../fixtures/tokenizers/${name}`, import.meta.url)));

export const gpt2 = await family('gpt2');

export const recordsOf = (...fields: Record<string, unknown>[]) =>
  interpretRecords(
    fields.map((fields, i) => ({ file: 'd.jsonl', line: i + 1, fields })),
    'Auto',
  ).records;

/** A tokenizer that renders conversations as `[role]content;`, with `[assistant]` to open a response. */
export const chat: Tokenizer = {
  ...gpt2,
  hasChatTemplate: true,
  applyChatTemplate: ({ messages }, { addGenerationPrompt }) =>
    messages.map(({ role, content }) => `[${role}]${content};`).join('') + (addGenerationPrompt ? '[assistant]' : ''),
};

export const textOf = (examples: readonly Example[]): TextExample => {
  const [example] = examples;
  if (example?.kind !== 'text') throw new Error('expected a text example');
  return example;
};
